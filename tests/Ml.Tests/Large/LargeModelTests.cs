using System.Diagnostics;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Large;

/// <summary>What the original notebook does on TinyLlama-1.1B, at its size, on random weights: loading, and one step of PPO.</summary>
[Collection(LargeCheckpoint.Alone)]
[Trait("Category", "Slow")]
public sealed class LargeModelTests(LargeCheckpoint checkpoint, ITestOutputHelper output)
{
    private const long LoadingOverhead = 400_000_000;
    private const long StepMemory = 8_000_000_000;

    [Theory]
    [InlineData(ModelPrecision.Nf4)]
    [InlineData(ModelPrecision.BFloat16)]
    [InlineData(ModelPrecision.Float32)]
    public void Loading_holds_little_more_than_the_model(ModelPrecision precision)
    {
        var folder = checkpoint.Folder;
        var size = WeightInventory.Of(WeightInventoryTests.TinyLlama11B).Bytes(precision);
        var before = PeakMemory.Reset();
        var clock = Stopwatch.StartNew();
        using var model = LlamaForCausalLm.Load(folder, precision);
        var (seconds, peak) = (clock.Elapsed.TotalSeconds, PeakMemory.Read());
        output.WriteLine(
            $"{precision}: {seconds:F1} s, {size / 1e6:F0} MB in memory, peak resident {peak / 1e6:F0} MB, "
            + $"of which {before / 1e6:F0} MB before");
        Assert.True(peak - before <= size + LoadingOverhead, $"{peak - before} bytes for a model of {size}");

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Assert.True(model.Logits(model.Hidden(tensor(new long[,] { { 1, 450, 4996, 17354 } }))).isfinite().all().item<bool>());
    }

    [Fact]
    public void One_step_of_the_notebook_moves_the_adapter_and_nothing_else()
    {
        var folder = checkpoint.Folder;
        var settings = new PpoSettings { Steps = 1, BatchSize = 2, MiniBatchSize = 2, Epochs = 1 };
        var generation = new GenerationSettings { MaxNewTokens = 100 };
        int[][] prompts = [Prompt(0, 212), Prompt(1, 187)];
        PeakMemory.Reset();
        using var model = LlamaForCausalLm.Load(folder, ModelPrecision.Nf4);
        using var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 16, Alpha = 16 }, seed: 1);
        using var valueHead = new ValueHead(model.Config.HiddenSize, CPU);
        var policy = new TrainedPolicy(model, adapter, valueHead);
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var start = state.ToFiles();
        using var reference = Reference(policy, prompts[0]);

        var clock = Stopwatch.StartNew();
        var plan = new RolloutPlan
        {
            RunSeed = 1,
            Step = 0,
            FirstSample = 0,
            Generation = generation,
            KlPenalty = settings.KlPenalty,
            ScoringBatchSize = settings.MiniBatchSize,
        };
        var samples = RolloutCollector.Collect(
            policy, (ids, _) => string.Join(' ', ids), new EvenTokensReward(), prompts, plan, TestContext.Current.CancellationToken);
        var rolloutSeconds = clock.Elapsed.TotalSeconds;
        var stats = PolicyUpdate.Run(
            policy, state, samples, new Ppo(settings, generation), PolicyUpdate.EpochOrder(1, 0),
            TestContext.Current.CancellationToken);
        output.WriteLine(
            $"{samples.Sum(s => s.Response.Length)} tokens; rollout {rolloutSeconds:F1} s, update "
            + $"{clock.Elapsed.TotalSeconds - rolloutSeconds:F1} s, peak resident {PeakMemory.Read() / 1e6:F0} MB");

        Assert.All(stats.Metrics, metric => Assert.True(double.IsFinite(metric.Value), metric.Key));
        Assert.Equal(0, stats.Metrics[MetricNames.SkippedMiniBatches]);
        Assert.Equal(0, stats.Metrics[MetricNames.Kl], 1e-4); // B is zero, so the policy is the reference still
        Assert.Equal(1, stats.Ratios.Average(), 1e-3);
        var end = state.ToFiles();
        Assert.NotEqual(start[TrainingState.AdapterFile], end[TrainingState.AdapterFile]);
        Assert.NotEqual(start[TrainingState.ValueHeadFile], end[TrainingState.ValueHeadFile]);
        Assert.All(adapter.Parameters, p => Assert.True(p.Parameter.isfinite().all().item<bool>(), p.Name));
        Assert.All(model.parameters(), p => Assert.False(p.requires_grad));
        using var after = Reference(policy, prompts[0]);
        AssertTensor.Identical(reference, after, "the base model");
        Assert.True(PeakMemory.Read() < StepMemory, $"{PeakMemory.Read()} bytes");
    }

    /// <summary>The base model's logits, in which every weight of it shows. [1, T, V]</summary>
    private static Tensor Reference(TrainedPolicy policy, int[] prompt)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var _ = policy.WithAdapterDisabled();
        var ids = tensor(prompt.Take(40).Select(id => (long)id).ToArray()).unsqueeze(0); // [1, T]
        return policy.Model.Logits(policy.Model.Hidden(ids)).DetachFromDisposeScope();
    }

    private static int[] Prompt(int row, int length) =>
        [1, .. Enumerable.Range(1, length - 1).Select(t => 3 + (int)(Seeds.Uniform(Seeds.Derive(2, "prompt", row), t) * 31_997))];

    /// <summary>The share of even ids in a response whose text is its ids.</summary>
    private sealed class EvenTokensReward : ITextReward
    {
        public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
            [.. responses.Select(item => new TextScore((float)item.Response.Split(' ').Average(id => (id[^1] - '0') % 2 == 0 ? 1.0 : 0)))];
    }
}
