using System.Collections;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;
using TorchSharp;

namespace RlhfFunctions.Ml.Tests.Pressure;

/// <summary>An update that was cut off, wherever that was, leaves nothing of itself in a policy that is used again.</summary>
public sealed class RetryTests : IDisposable
{
    private static readonly PpoSettings Settings = new() { BatchSize = 4, MiniBatchSize = 1, GradientAccumulationSteps = 2, Epochs = 1, LearningRate = 1e-2 };

    private readonly TrainedPolicy _policy = TinyPolicy.Create();
    private readonly IReadOnlyDictionary<string, byte[]> _checkpoint;
    private readonly IReadOnlyList<RolloutSample> _samples;
    private readonly FaultyPlaces _places = new();

    public RetryTests()
    {
        using var state = TrainingState.Start(_policy, new Ppo(Settings, new()));
        _checkpoint = state.ToFiles();
        _samples = RolloutCollector.Collect(
            _policy, TokenShareReward.Decode, new TokenShareReward(5), TinyPolicy.Prompts(Settings.BatchSize), new()
            {
                RunSeed = 1,
                Step = 0,
                FirstSample = 0,
                Generation = new() { MaxNewTokens = 4 },
                KlPenalty = Settings.KlPenalty,
                ScoringBatchSize = Settings.BatchSize,
            }, CancellationToken.None);
        foreach (var (_, layer) in _policy.Model.Projections().Where(projection => projection.Layer.Adapter is not null))
            layer.Adapter = new FaultyBranch(layer.Adapter!, _places.Pass);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(0, true)]
    [InlineData(1, false)] // the adapter is frozen
    public void A_retry_after_a_fault_at_any_place_is_the_first_update_again(int valueWarmupSteps, bool isCancelled)
    {
        var settings = Settings with { ValueWarmupSteps = valueWarmupSteps };
        var expected = Update(settings, CancellationToken.None);
        var places = _places.Passed;
        Assert.True(places > 50, $"only {places} places");

        for (var place = 0; place < places; place++)
        {
            var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            using var source = new CancellationTokenSource();
            _places.FaultAt(place, isCancelled ? source.Cancel : () => throw new InjectedException());
            var failure = Record.Exception(() => Update(settings, source.Token));
            Assert.True(isCancelled ? failure is OperationCanceledException or null : failure is InjectedException, failure?.ToString());
            Assert.All(_policy.Parameters, named => Assert.Null(named.Value.grad));
            Assert.All(_policy.Parameters, named => Assert.True(named.Value.requires_grad));
            Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

            Assert.Equal(expected, Update(settings, CancellationToken.None));
        }
    }

    [Fact]
    public void A_checkpoint_that_cannot_be_restored_leaves_no_tensors_behind()
    {
        var broken = new Dictionary<string, byte[]>(_checkpoint) { [TrainingState.OptimizerFile] = _checkpoint[TrainingState.ValueHeadFile] };
        NoLeaks.In(() => Assert.ThrowsAny<Exception>(() => TrainingState.Restore(_policy, broken)));
    }

    public void Dispose()
    {
        _policy.ValueHead?.Dispose();
        _policy.Adapter.Dispose();
        _policy.Model.Dispose();
    }

    private IReadOnlyDictionary<string, byte[]> Update(PpoSettings settings, CancellationToken cancellationToken)
    {
        using var state = TrainingState.Restore(_policy, _checkpoint);
        PolicyUpdate.Run(
            _policy, state, new Watched<RolloutSample>(_samples, _places.Pass), new Ppo(settings, new()), PolicyUpdate.EpochOrder(1, 0), cancellationToken);
        return state.ToFiles();
    }

    private sealed class InjectedException : Exception;

    private sealed class FaultyBranch(LowRankBranch branch, Action onPass) : LowRankBranch
    {
        public override torch.Tensor A => branch.A;

        public override torch.Tensor B => branch.B;

        public override double Scaling => branch.Scaling;

        public override bool Drops => true; // so that nobody multiplies by A and B himself

        public override torch.Tensor Add(torch.Tensor input, torch.Tensor output)
        {
            onPass();
            return branch.Add(input, output);
        }
    }

    /// <summary>Counts the places that an update passes, and lets something happen at one of them.</summary>
    private sealed class FaultyPlaces
    {
        private int _faulty = -1;
        private Action _fault = () => { };

        public int Passed { get; private set; }

        public void FaultAt(int place, Action fault) => (Passed, _faulty, _fault) = (0, place, fault);

        public void Pass()
        {
            if (Passed++ == _faulty)
                _fault();
        }
    }

    private sealed class Watched<T>(IReadOnlyList<T> items, Action onRead) : IReadOnlyList<T>
    {
        public int Count => items.Count;

        public T this[int index]
        {
            get
            {
                onRead();
                return items[index];
            }
        }

        public IEnumerator<T> GetEnumerator()
        {
            for (var i = 0; i < Count; i++)
                yield return this[i];
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
