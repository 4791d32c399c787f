using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Large;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Pressure;

/// <summary>However long a run, it leaves nothing behind in memory; on all threads, so that no other test may compute meanwhile.</summary>
[Collection(LargeCheckpoint.Alone)]
[Trait("Category", "Slow")]
public sealed class LiveTensorTests
{
    [Fact]
    public void A_thousand_steps_leave_as_many_tensors_as_ten()
    {
        var settings = new PpoSettings { Steps = 1000, BatchSize = 8, MiniBatchSize = 4, Epochs = 2, LearningRate = 1e-4 };
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        Learn(10);
        var live = Tensor.TotalCount;
        Learn(990);
        Assert.Equal(live, Tensor.TotalCount);
        Assert.Equal(1000, state.Step);

        void Learn(int steps)
        {
            for (var step = 0; step < steps; step++)
            {
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
                PolicyUpdate.Run(policy, state, samples, new Ppo(settings, new()), PolicyUpdate.EpochOrder(1, state.Step), CancellationToken.None);
            }
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
