using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>Loops on as many threads as libtorch would use for its own.</summary>
internal static class Threads
{
    /// <summary>Cuts 0 … count − 1 into ranges and works on them side by side.</summary>
    /// <param name="count">Pieces of work.</param>
    /// <param name="atLeast">Pieces for which another thread is worth waking.</param>
    /// <param name="work">Given a range's first piece and the one behind its last; what it writes must not depend on the cut.</param>
    public static void ForRanges(int count, int atLeast, Action<int, int> work)
    {
        var tasks = Math.Clamp(count / atLeast, 1, get_num_threads());
        if (tasks == 1)
            work(0, count);
        else
            Parallel.For(0, tasks, task => work((int)((long)count * task / tasks), (int)((long)count * (task + 1) / tasks)));
    }
}
