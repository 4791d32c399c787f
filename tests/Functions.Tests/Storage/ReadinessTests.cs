using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Storage;

public sealed class ReadinessTests(AzuriteFixture azurite)
{
    private readonly Clock _clock = new();

    private Readiness Readiness => new(new BlobFiles(azurite.Blobs), _clock);

    [Fact]
    public async Task However_many_probes_ask_they_share_one_look_that_holds_for_a_while()
    {
        var (readiness, looks) = (Readiness, 0);
        for (int probe = 0; probe < 20; probe++) await readiness.CheckAsync(Engine);
        Assert.Equal(1, looks);
        _clock.Passed = Readiness.HoldsFor + TimeSpan.FromSeconds(1);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => readiness.CheckAsync(Engine)));
        Assert.Equal(2, looks);

        Task Engine(CancellationToken over)
        {
            looks++;
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task What_does_not_answer_is_not_waited_for_longer_than_a_probe_waits_and_is_asked_again()
    {
        var readiness = Readiness;
        _clock.IsImpatient = true;
        await Assert.ThrowsAsync<TimeoutException>(() => readiness.CheckAsync(_ => new TaskCompletionSource().Task)); // not even the token is looked at
        _clock.IsImpatient = false;
        _clock.Passed = Readiness.HoldsFor + TimeSpan.FromSeconds(1);
        await readiness.CheckAsync(_ => Task.CompletedTask);
        string probes = File.ReadAllText(Path.Combine(Repository.Root, "infra", "bicep", "modules", "api.bicep"));
        Assert.Contains("httpGet: ready, periodSeconds: 10, timeoutSeconds: 5", probes, StringComparison.Ordinal);
        Assert.InRange(Readiness.Patience, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Passed { get; set; }

        /// <summary>Whether all time that is waited for is over at once.</summary>
        public bool IsImpatient { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp()
        {
            return Passed.Ticks;
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            return base.CreateTimer(callback, state, IsImpatient ? TimeSpan.Zero : dueTime, period);
        }
    }
}
