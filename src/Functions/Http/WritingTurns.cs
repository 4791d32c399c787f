using System.Runtime.CompilerServices;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>One text is written at a time, the others wait; beyond the limit none is let wait.</summary>
internal static class WritingTurns
{
    // Of this process: those that wait are its own.
    private static int _accepted;

    /// <exception cref="ProblemException">Too many wait.</exception>
    public static async Task<T> InTurnAsync<T>(this Limits limits, Func<Task<T>> write)
    {
        try
        {
            Enter(limits);
            return await write();
        }
        finally
        {
            Interlocked.Decrement(ref _accepted);
        }
    }

    /// <exception cref="ProblemException">Too many wait.</exception>
    public static async IAsyncEnumerable<T> InTurn<T>(this Limits limits, IAsyncEnumerable<T> pieces, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        try
        {
            Enter(limits);
            await foreach (var piece in pieces.WithCancellation(cancellation)) yield return piece;
        }
        finally
        {
            Interlocked.Decrement(ref _accepted);
        }
    }

    private static void Enter(Limits limits)
    {
        if (Interlocked.Increment(ref _accepted) <= limits.WaitingForTexts + 1) return;
        throw new ProblemException(new Problem(429, "too-many-requests", "Too many requests for texts are waiting.",
            $"One is written at a time, and {limits.WaitingForTexts} may wait. Ask again in a while.")
        { RetryAfter = TimeSpan.FromSeconds(10) });
    }
}
