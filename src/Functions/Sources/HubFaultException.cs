namespace RlhfFunctions.Sources;

/// <summary>The hub did not answer as it should, and may the next time: a cut, a stall, too many requests, a server's own fault.</summary>
/// <param name="message">What happened, and where.</param>
/// <param name="retryAfter">How long the server asks to be left alone; null: it does not say.</param>
/// <param name="inner">The cause.</param>
public sealed class HubFaultException(string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    public TimeSpan? RetryAfter { get; } = retryAfter;
}
