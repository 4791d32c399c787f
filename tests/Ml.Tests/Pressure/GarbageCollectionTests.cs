using System.Diagnostics;
using System.Security.Cryptography;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;

namespace RlhfFunctions.Ml.Tests.Pressure;

/// <summary>
/// Garbage collections on other threads change no number. As packaged, TorchSharp lets them free what libtorch is reading, which
/// fails or, worse, computes something else; see build/WeaveTorchSharp.cs.
/// </summary>
public class GarbageCollectionTests(ITestOutputHelper output)
{
    [Fact]
    public void Collections_beside_a_step_change_nothing() => Compare(TimeSpan.FromSeconds(30));

    [Fact]
    [Trait("Category", "Slow")]
    public void Collections_beside_steps_of_ten_minutes_change_nothing() => Compare(TimeSpan.FromMinutes(10));

    private void Compare(TimeSpan duration)
    {
        var quiet = Step();
        var steps = 0;
        using (new Collecting(threads: 2 * Environment.ProcessorCount))
            for (var clock = Stopwatch.StartNew(); clock.Elapsed < duration; steps++)
                Assert.Equal(quiet, Step());
        output.WriteLine($"{steps} equal steps, {GC.CollectionCount(0)} collections.");
    }

    /// <summary>A rollout and an update of a new policy; the hash of all that they left.</summary>
    private static string Step()
    {
        var settings = new PpoSettings { BatchSize = 8, MiniBatchSize = 4, Epochs = 2, LearningRate = 1e-2, ScaleScores = true, MaxGradientNorm = 1 };
        using var scope = TorchSharp.torch.NewDisposeScope();
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var samples = RolloutCollector.Collect(
            policy, TokenShareReward.Decode, new TokenShareReward(5), TinyPolicy.Prompts(settings.BatchSize), new()
            {
                RunSeed = 1,
                Step = state.Step,
                FirstSample = 0,
                Generation = new() { MaxNewTokens = 8 },
                KlPenalty = settings.KlPenalty,
                ScoringBatchSize = settings.MiniBatchSize,
            }, CancellationToken.None);
        PolicyUpdate.Run(policy, state, samples, new Ppo(settings, new()), PolicyUpdate.EpochOrder(1, 0), CancellationToken.None);
        return Convert.ToHexString(SHA256.HashData([.. state.ToFiles().OrderBy(file => file.Key).SelectMany(file => file.Value)]));
    }

    /// <summary>Threads that allocate and collect without pause until disposed.</summary>
    private sealed class Collecting : IDisposable
    {
        private readonly Thread[] _threads;
        private volatile bool _isOver;

        public Collecting(int threads)
        {
            _threads = [.. Enumerable.Range(0, threads).Select(_ => new Thread(Collect) { IsBackground = true })];
            Array.ForEach(_threads, thread => thread.Start());
        }

        public void Dispose()
        {
            _isOver = true;
            Array.ForEach(_threads, thread => thread.Join());
        }

        private void Collect()
        {
            while (!_isOver)
            {
                object last = this;
                for (var i = 0; i < 3000; i++)
                    last = new byte[600];
                GC.Collect(0);
                GC.KeepAlive(last);
            }
        }
    }
}
