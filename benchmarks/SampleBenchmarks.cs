using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Ppo;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Benchmarks;

/// <summary>The model and dialogues of the demo, with its settings.</summary>
internal static class SampleBenchmarks
{
    private const int Batch = 32;

    public static IEnumerable<Measurement> Rollout(string samples)
    {
        using var model = LlamaForCausalLm.Load(Path.Combine(samples, "models/llama"));
        using var adapter = LoraAdapter.Attach(model, Lora, seed: 1);
        var (prompts, _) = Prompts(samples);
        ulong[] keys = [.. Enumerable.Range(0, Batch).Select(i => (ulong)i)];
        var job = BatchGenerator.Job(model, prompts, keys, Generation);
        var tokens = FusedTokens();
        var own = Measurement.Seconds(9, () => BatchGenerator.Run(model, job, CancellationToken.None));
        var libtorch = Measurement.Seconds(3, () => TorchGeneration.Run(model, job, CancellationToken.None));
        yield return Measurement.Rate("rollout/sample/32", "tok/s", tokens, own) with { RatioToLibtorch = Median(libtorch) / Median(own) };

        int FusedTokens() => BatchGenerator.Run(model, job, CancellationToken.None).Sum(response => response.Ids.Count);
    }

    /// <summary>A step of PPO: batch 32, mini-batch 8, 2 epochs, at most 40 new tokens; and its stages.</summary>
    public static IEnumerable<Measurement> Step(string samples)
    {
        var own = Time(plain: false, times: 5);
        var libtorch = Time(plain: true, times: 2);
        yield return Measurement.Of("rollout+score/sample", "s", own.Rollouts);
        yield return Measurement.Of("update/sample", "s", own.Updates) with { RatioToLibtorch = Median(libtorch.Updates) / Median(own.Updates) };
        yield return Measurement.Of("step/sample", "s", [.. own.Rollouts.Zip(own.Updates, (r, u) => r + u)]);

        (double[] Rollouts, double[] Updates) Time(bool plain, int times)
        {
            using var model = LlamaForCausalLm.Load(Path.Combine(samples, "models/llama"));
            using var adapter = LoraAdapter.Attach(model, Lora, seed: 1);
            if (plain) // frozen weights are multiplied by our loops, others by libtorch; what is not asked for is not computed
                foreach (var weight in model.parameters())
                    weight.requires_grad_(true);
            using var valueHead = new ValueHead(model.Config.HiddenSize, CPU);
            var policy = new PolicyWithValue(model, adapter, valueHead);
            var settings = new PpoSettings { Steps = 1, BatchSize = Batch, MiniBatchSize = 8, Epochs = 2, LearningRate = 1e-4 };
            using var state = TrainingState.Start(policy, settings);
            var (prompts, text) = Prompts(samples);
            var reward = new ClassifierReward(TextClassifier.Load(Path.Combine(samples, "models/reward"), CPU), "nothate", "hate");
            var plan = new RolloutPlan
            {
                RunSeed = 1,
                Step = 0,
                FirstSample = 0,
                Generation = Generation,
                KlPenalty = KlPenalty.Kl,
                ScoringBatchSize = 8,
            };
            IReadOnlyList<RolloutSample> rollouts = [];
            var rolled = Measurement.Seconds(times, () => rollouts = RolloutCollector.Collect(policy, text.Decode, reward, prompts, plan, CancellationToken.None));
            var updated = Measurement.Seconds(times, () => PpoUpdate.Run(
                policy, state, rollouts, settings, 1, PpoUpdate.EpochOrder(1, 0, Batch), CancellationToken.None));
            return (rolled, updated);
        }
    }

    private static LoraSettings Lora => new() { Rank = 16, Alpha = 16, TargetModules = ["down_proj"] };

    private static GenerationSettings Generation => new() { MaxNewTokens = 40 };

    private static (int[][] Prompts, LlamaText Text) Prompts(string samples)
    {
        var text = LlamaText.FromFolder(Path.Combine(samples, "models/llama"));
        var rows = DialogueReader.ReadFile(Path.Combine(samples, "dialogues/train.csv")).Take(Batch);
        return ([.. rows.Select(row => text.Encode(PromptTemplate.Default.Fill(row.Dialogue)))], text);
    }

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
