namespace RlhfFunctions.LocalHost.Worker;

/// <summary>
/// The worker's process ended while it was working. The Durable extension looks for this type's name, and for the message's first
/// words: the work is then done again, instead of being taken for failed.
/// </summary>
internal sealed class WorkerProcessExitException()
    : InvalidOperationException("Did not find any initialized language workers: the worker process ended.");

/// <summary>A function failed in the worker. The Durable extension reads type, message and stack out of this form of message.</summary>
internal sealed class WorkerFunctionException(RpcException? failure)
    : Exception($"Result: Failure\nException: {failure?.Message}\nStack: {failure?.StackTrace}");
