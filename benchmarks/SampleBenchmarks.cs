using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
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
        using var own = new Subject(samples, isPlain: false);
        using var plain = new Subject(samples, isPlain: true);
        var (rollouts, updates, libtorch) = (new List<double>(), new List<double>(), new List<double>());
        for (var time = 0; time < 6; time++) // in turns, so that both have the same neighbours; the first time counts for nothing
        {
            rollouts.AddRange(Measurement.Seconds(1, own.RollOut, warmUp: false));
            updates.AddRange(Measurement.Seconds(1, own.Update, warmUp: false));
            if (time == 0)
                plain.RollOut();
            libtorch.AddRange(Measurement.Seconds(1, plain.Update, warmUp: false));
        }
        yield return Measurement.Of("rollout+score/sample", "s", [.. rollouts.Skip(1)]);
        yield return Measurement.Of("update/sample", "s", [.. updates.Skip(1)]) with { RatioToLibtorch = Median([.. libtorch.Skip(1)]) / Median([.. updates.Skip(1)]) };
        yield return Measurement.Of("step/sample", "s", [.. rollouts.Zip(updates, (r, u) => r + u).Skip(1)]);
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

    /// <summary>A policy with all that a step needs.</summary>
    private sealed class Subject : IDisposable
    {
        private readonly PpoSettings _settings = new() { Steps = 1, BatchSize = Batch, MiniBatchSize = 8, Epochs = 2, LearningRate = 1e-4 };
        private readonly TrainedPolicy _policy;
        private readonly TrainingState _state;
        private readonly ITextReward _reward;
        private readonly int[][] _prompts;
        private readonly LlamaText _text;
        private IReadOnlyList<RolloutSample> _rollouts = [];

        public Subject(string samples, bool isPlain)
        {
            var model = LlamaForCausalLm.Load(Path.Combine(samples, "models/llama"));
            _policy = new TrainedPolicy(model, LoraAdapter.Attach(model, Lora, seed: 1), new ValueHead(model.Config.HiddenSize, CPU));
            if (isPlain) // frozen weights are multiplied by our loops, others by libtorch; gradients that nobody asks for are not computed
                foreach (var weight in model.parameters())
                    weight.requires_grad_(true);
            _state = TrainingState.Start(_policy, new Ppo(_settings, new()));
            (_prompts, _text) = Prompts(samples);
            _reward = new ClassifierReward(TextClassifier.Load(Path.Combine(samples, "models/reward"), CPU), "nothate", "hate");
        }

        public void RollOut()
        {
            var plan = new RolloutPlan
            {
                RunSeed = 1,
                Step = 0,
                FirstSample = 0,
                Generation = Generation,
                KlPenalty = KlPenalty.Kl,
                ScoringBatchSize = 8,
            };
            _rollouts = RolloutCollector.Collect(_policy, _text.Decode, _reward, _prompts, plan, CancellationToken.None);
        }

        public void Update() =>
            PolicyUpdate.Run(_policy, _state, _rollouts, new Ppo(_settings, new()), PolicyUpdate.EpochOrder(1, 0), CancellationToken.None);

        public void Dispose()
        {
            _state.Dispose();
            _policy.ValueHead?.Dispose();
            _policy.Adapter.Dispose();
            _policy.Model.Dispose();
        }
    }
}
