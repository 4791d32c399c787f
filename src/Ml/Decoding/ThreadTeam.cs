namespace RlhfFunctions.Ml.Decoding;

/// <summary>
/// Threads that go through the same loops side by side and wait for one another between them, a few hundred times a token: waking
/// threads from a pool each time would cost more than some of the loops.
/// </summary>
internal sealed class ThreadTeam : IDisposable
{
    // Looks at the others this often before it lets other work have its core.
    private const int Patience = 4000;

    private readonly Thread[] _others;
    private readonly SemaphoreSlim[] _starts; // one each: whoever is done early must not take another's
    private readonly CountdownEvent? _done;
    private Action<int> _work = _ => { };
    private bool _isOver;
    private int _arrived;
    private int _meetings;

    public ThreadTeam(int size)
    {
        Size = size;
        _done = size > 1 ? new CountdownEvent(size - 1) : null;
        _starts = [.. Enumerable.Range(1, size - 1).Select(_ => new SemaphoreSlim(0))];
        _others = [.. Enumerable.Range(1, size - 1).Select(part => new Thread(() => Serve(part)) { IsBackground = true })];
        foreach (var thread in _others)
            thread.Start();
    }

    public int Size { get; }

    /// <summary>Lets every thread do its part, the calling one part 0. The work must not throw.</summary>
    public void Run(Action<int> work)
    {
        if (Size == 1)
        {
            work(0);
            return;
        }
        _work = work;
        _done!.Reset();
        foreach (var start in _starts)
            start.Release();
        work(0);
        _done.Wait();
    }

    /// <summary>Waits until all have come here.</summary>
    public void Meet()
    {
        if (Size == 1)
            return;
        var meeting = Volatile.Read(ref _meetings);
        if (Interlocked.Increment(ref _arrived) == Size)
        {
            _arrived = 0;
            Volatile.Write(ref _meetings, meeting + 1);
            return;
        }
        for (var looks = 0; Volatile.Read(ref _meetings) == meeting; looks++)
        {
            if (looks < Patience)
                Thread.SpinWait(4);
            else
                Thread.Yield();
        }
    }

    public void Dispose()
    {
        _isOver = true;
        foreach (var start in _starts)
            start.Release();
        foreach (var thread in _others)
            thread.Join();
        foreach (var start in _starts)
            start.Dispose();
        _done?.Dispose();
    }

    private void Serve(int part)
    {
        while (true)
        {
            _starts[part - 1].Wait();
            if (_isOver)
                return;
            _work(part);
            _done!.Signal();
        }
    }
}
