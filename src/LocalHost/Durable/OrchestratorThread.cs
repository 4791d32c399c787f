namespace RlhfFunctions.LocalHost.Durable;

/// <summary>
/// Runs the orchestrator's code and all its continuations on one thread, in the order in which they were posted.
/// A continuation that comes from elsewhere was not started by a durable call: it is dropped and reported.
/// </summary>
internal sealed class OrchestratorThread(Action onForeignContinuation) : SynchronizationContext
{
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _queue = new();
    private int? _threadId;

    /// <summary>True on the one thread, while it runs orchestrator code.</summary>
    public bool IsCurrent => _threadId == Environment.CurrentManagedThreadId;

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (IsCurrent)
            _queue.Enqueue((d, state));
        else
            onForeignContinuation();
    }

    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("Orchestrator code cannot block on its own thread.");

    /// <summary>Runs <paramref name="code"/>, and what it sets free, until nothing more can run.</summary>
    public void Run(Action code)
    {
        var before = Current;
        SetSynchronizationContext(this);
        _threadId = Environment.CurrentManagedThreadId;
        try
        {
            code();
            while (_queue.TryDequeue(out var next))
                next.Callback(next.State);
        }
        finally
        {
            _threadId = null;
            SetSynchronizationContext(before);
        }
    }
}
