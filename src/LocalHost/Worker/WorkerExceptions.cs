using System.Text.Json;

namespace RlhfFunctions.LocalHost.Worker;

/// <summary>
/// The worker's process ended while it was working. The Durable extension looks for this type's name, and for the message's first
/// words: the work is then done again, instead of being taken for failed.
/// </summary>
internal sealed class WorkerProcessExitException()
    : InvalidOperationException("Did not find any initialized language workers: the worker process ended.");

/// <summary>A function failed in the worker. The Durable extension reads type, message and stack out of this form of message.</summary>
internal sealed class WorkerFunctionException(RpcException? failure)
    : Exception($"Result: Failure\nException: {failure?.Message}\nStack: {failure?.StackTrace}")
{
    /// <summary>What went wrong, in a line: Durable's worker sends the whole chain of exceptions as JSON.</summary>
    public string Reason
    {
        get
        {
            string message = failure?.Message ?? "";
            try
            {
                using var details = JsonDocument.Parse(message);
                return details.RootElement.GetProperty("errorMessage").GetString()!;
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
            {
                return message.Split('\n')[0];
            }
        }
    }
}
