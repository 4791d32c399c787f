using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>Work on as many threads as libtorch would use for its own.</summary>
public static class Threads
{
    /// <summary>
    /// Sets the CPU threads of the calling thread's operations. The number is part of a result's last bits, so it is set on every
    /// thread anew. A thread's first use of libtorch takes over the number that any thread set last: that must be behind it, or it
    /// would undo ours.
    /// </summary>
    public static void Use(int threads)
    {
        _ = get_num_threads();
        set_num_threads(threads);
    }

    /// <summary>Cuts 0 … count − 1 into ranges and works on them side by side.</summary>
    /// <param name="count">Pieces of work.</param>
    /// <param name="atLeast">Pieces for which another thread is worth waking.</param>
    /// <param name="work">Given a range's first piece and the one behind its last; what it writes must not depend on the cut.</param>
    internal static void ForRanges(int count, int atLeast, Action<int, int> work)
    {
        var tasks = Math.Clamp(count / atLeast, 1, get_num_threads());
        SideBySide(tasks, task => work((int)((long)count * task / tasks), (int)((long)count * (task + 1) / tasks)));
    }

    /// <summary>Does several things that use libtorch, each with its share of the threads.</summary>
    internal static void Share(int parts, Action<int> work)
    {
        var threads = get_num_threads();
        try
        {
            SideBySide(parts, part =>
            {
                Use(Math.Max(1, threads / parts));
                work(part);
            });
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    /// <summary>Throws what one of them threw, as it was.</summary>
    private static void SideBySide(int parts, Action<int> work)
    {
        if (parts == 1)
        {
            work(0);
            return;
        }
        try
        {
            Parallel.For(0, parts, work);
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }
}
