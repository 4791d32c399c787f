namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>
/// Something the user can put right. The message says what is wrong, where, and what to do; it is shown alone, without a
/// stack trace, and the process ends with exit code 1.
/// </summary>
public class UserErrorException(string message, Exception? innerException = null) : Exception(message, innerException);
