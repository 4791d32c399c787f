namespace RlhfFunctions.Storage;

/// <summary>
/// Whether what the app needs answers. Probes ask every few seconds, of every replica: what was found holds for a while, all who ask in
/// between share one look, and no look takes longer than a probe waits.
/// </summary>
public sealed class Readiness(BlobFiles blobs, TimeProvider clock)
{
    /// <summary>How long what was found holds.</summary>
    public static readonly TimeSpan HoldsFor = TimeSpan.FromSeconds(5);

    /// <summary>How long an answer is waited for; infra/bicep's probe waits longer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly Lock _lock = new();
    private Task? _look;
    private long _began;

    /// <summary>Ends when storage and engine have answered.</summary>
    /// <param name="askEngine">Asks the engine something small.</param>
    /// <exception cref="TimeoutException">They did not answer in time.</exception>
    public Task CheckAsync(Func<CancellationToken, Task> askEngine)
    {
        lock (_lock)
        {
            if (_look is null || clock.GetElapsedTime(_began) > HoldsFor) (_look, _began) = (LookAsync(askEngine), clock.GetTimestamp());
            return _look;
        }
    }

    private async Task LookAsync(Func<CancellationToken, Task> askEngine)
    {
        using var over = new CancellationTokenSource(Patience, clock);
        try
        {
            await Task.WhenAll(blobs.ReadClockAsync(over.Token), askEngine(over.Token)).WaitAsync(over.Token);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            throw new TimeoutException($"Storage and engine did not answer in {Patience.TotalSeconds:F0} s.");
        }
    }
}
