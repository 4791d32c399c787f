using RlhfFunctions.Contracts;

namespace RlhfFunctions.Compute;

/// <summary>
/// Lets training activities compute only as many at a time as the machine has threads for; a GPU computes for one. Those that wait
/// have loaded nothing yet. What is light (summaries, HTTP) does not pass here, so it never waits behind training.
/// </summary>
/// <param name="threads">The machine's processors.</param>
public sealed class ComputeGate(int threads)
{
    private readonly Lock _lock = new();
    private readonly Queue<(int Threads, TaskCompletionSource<bool> Turn)> _waiting = new();
    private readonly int _all = threads;
    private int _free = threads;

    /// <summary>Waits for a turn, first come first served; disposing what is returned ends it.</summary>
    /// <param name="compute">Says on what device.</param>
    /// <param name="wanted">CPU threads of the work; more than the machine has are all it has.</param>
    /// <param name="cancellation">Gives up the wait.</param>
    public async Task<IDisposable> EnterAsync(ComputeSettings compute, int wanted, CancellationToken cancellation)
    {
        int taken = compute.Device == "cpu" ? Math.Min(wanted, _all) : _all;
        var turn = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _waiting.Enqueue((taken, turn));
            Admit();
        }

        await using var givenUp = cancellation.Register(() => turn.TrySetCanceled(cancellation));
        await turn.Task;
        return new Turn(this, taken);
    }

    private void Admit()
    {
        while (_waiting.TryPeek(out var first) && (first.Turn.Task.IsCanceled || first.Threads <= _free))
        {
            _waiting.Dequeue();
            if (first.Turn.TrySetResult(true)) _free -= first.Threads;
        }
    }

    private void Leave(int taken)
    {
        lock (_lock)
        {
            _free += taken;
            Admit();
        }
    }

    private sealed class Turn(ComputeGate gate, int taken) : IDisposable
    {
        private bool _isOver;

        public void Dispose()
        {
            if (_isOver) return;
            _isOver = true;
            gate.Leave(taken);
        }
    }
}
