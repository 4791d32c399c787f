namespace RlhfFunctions.LocalHost.Hosting;

internal static class TimeProviderExtensions
{
    // One Task.Delay holds 49 days at most, and does not notice that the clock was set or the machine slept.
    private static readonly TimeSpan LongestNap = TimeSpan.FromMinutes(1);

    /// <summary>Waits until a moment that may be weeks away.</summary>
    public static async Task DelayUntilAsync(this TimeProvider clock, DateTimeOffset moment, CancellationToken cancellation)
    {
        while (moment - clock.GetUtcNow() is { Ticks: > 0 } wait)
            await Task.Delay(wait < LongestNap ? wait + TimeSpan.FromMilliseconds(1) : LongestNap, clock, cancellation);
    }
}
