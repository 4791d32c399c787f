namespace RlhfFunctions.Storage;

/// <summary>What the user asked for cannot be done as it stands: trying again would not help.</summary>
public sealed class InvalidInputException(string message, Exception? inner = null) : Exception(message, inner);
