using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Learning;

/// <summary>Whole runs of TRL's PPOTrainer.step: the same parameters, rollouts and permutations must give the same numbers.</summary>
[Trait("Category", "Parity")]
public class TrlStepTests
{
    /// <summary>What TRL calls its settings.</summary>
    private static readonly Dictionary<string, Func<PpoSettings, JsonElement, PpoSettings>> Translation = new()
    {
        ["batch_size"] = (s, x) => s with { BatchSize = x.GetInt32() },
        ["mini_batch_size"] = (s, x) => s with { MiniBatchSize = x.GetInt32() },
        ["gradient_accumulation_steps"] = (s, x) => s with { GradientAccumulationSteps = x.GetInt32() },
        ["ppo_epochs"] = (s, x) => s with { Epochs = x.GetInt32() },
        ["learning_rate"] = (s, x) => s with { LearningRate = x.GetDouble() },
        ["max_grad_norm"] = (s, x) => s with { MaxGradientNorm = x.GetDouble() },
        ["early_stopping"] = (s, x) => s with { EarlyStopping = x.GetBoolean() },
        ["target_kl"] = (s, x) => s with { TargetPolicyKl = x.GetDouble() },
        ["adap_kl_ctrl"] = (s, x) => s with { AdaptiveKl = x.GetBoolean() },
        ["init_kl_coef"] = (s, x) => s with { KlCoefficient = x.GetDouble() },
        ["gamma"] = (s, x) => s with { Gamma = x.GetDouble() },
        ["lam"] = (s, x) => s with { Lambda = x.GetDouble() },
        ["kl_penalty"] = (s, x) => s with { KlPenalty = Enum.Parse<KlPenalty>(x.GetString()!, ignoreCase: true) },
        ["score_clip"] = (s, x) => s with { ScoreClip = x.GetDouble() },
        ["cliprange"] = (s, x) => s with { ClipRange = x.GetDouble() },
        ["cliprange_value"] = (s, x) => s with { ValueClipRange = x.GetDouble() },
        ["vf_coef"] = (s, x) => s with { ValueCoefficient = x.GetDouble() },
        ["horizon"] = (s, x) => s with { KlHorizon = x.GetDouble() },
        ["target"] = (s, x) => s with { TargetKl = x.GetDouble() },
        ["whiten_rewards"] = (s, x) => s with { WhitenRewards = x.GetBoolean() },
    };

    [Fact]
    public void Steps_give_trls_statistics_and_parameters() => Assert.Multiple(
        [.. Directory.EnumerateFiles(SharedFolder.Path("golden/hf/trl"), "golden.json", SearchOption.AllDirectories)
            .Select(file => Path.GetFileName(Path.GetDirectoryName(file)!)).Order(StringComparer.Ordinal)
            .Select<string, Action>(name => () => Replay(name))]);

    private static void Replay(string name)
    {
        using var scope = NewDisposeScope();
        var tolerance = name == "notebook" ? 1e-6 : 1e-5; // its parameters hardly move
        var golden = GoldenJson.Read($"golden/hf/trl/{name}/golden.json");
        var parameters = Tensors(SharedFolder.Path($"golden/hf/trl/{name}/parameters.safetensors"));
        var settings = new PpoSettings { Steps = 1 };
        foreach (var setting in golden.GetProperty("config").EnumerateObject())
            settings = Translation[setting.Name](settings, setting.Value);

        var policy = StartingPolicy(golden.GetProperty("lora"), parameters);
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var padsLeft = golden.GetProperty("padding_side").GetString() == "left";
        var steps = golden.GetProperty("steps").EnumerateArray().ToArray();
        for (var step = 0; step < steps.Length; step++)
        {
            var samples = Score(policy, steps[step], settings);
            var order = steps[step].GetProperty("permutations").IntegerRows();
            var stats = PolicyUpdate.Run(policy, state, samples, new Ppo(settings, new()), (epoch, _) => order[epoch], CancellationToken.None);

            var what = $"{name} step {step + 1}";
            AssertStatistics(steps[step], stats, what);
            AssertTokens(steps[step], stats, samples, order, padsLeft, what);
            Close(steps[step].GetProperty("kl_coef_after").GetDouble(), state.KlCoefficient, 1e-6, $"{what} kl_coef_after");
            foreach (var (key, parameter) in policy.Parameters)
                if (parameters.TryGetValue($"after{step + 1}.{key}", out var expected))
                    GoldenJson.Close(expected, parameter, tolerance, $"{what} {key}");
        }
    }

    private static TrainedPolicy StartingPolicy(JsonElement lora, IReadOnlyDictionary<string, Tensor> parameters)
    {
        var model = LlamaForCausalLm.Load(SharedFolder.Path("golden/hf/trl/base"));
        var adapter = LoraAdapter.Attach(model, new()
        {
            Rank = lora.GetProperty("r").GetInt32(),
            Alpha = lora.GetProperty("alpha").GetDouble(),
            TargetModules = [.. lora.GetProperty("targets").EnumerateArray().Select(target => target.GetString()!)],
        }, seed: 0);
        var policy = new TrainedPolicy(model, adapter, new ValueHead(model.Config.HiddenSize, CPU));
        using var _ = no_grad();
        foreach (var (key, parameter) in policy.Parameters)
            parameter.copy_(parameters[$"start.{key}"]);
        return policy;
    }

    /// <summary>The rollouts' numbers, computed by our policy for TRL's queries and responses.</summary>
    private static IReadOnlyList<RolloutSample> Score(TrainedPolicy policy, JsonElement step, PpoSettings settings)
    {
        var queries = step.GetProperty("queries").IntegerRows();
        var responses = step.GetProperty("responses").IntegerRows();
        if (step.TryGetProperty("response_masks", out var masks)) // these mask ends, and causality makes that a shorter response
            responses = [.. responses.Zip(masks.IntegerRows(), (response, mask) => response[..mask.Sum()])];
        return RolloutCollector.Score(policy, queries, responses, settings.KlPenalty, 1, settings.MiniBatchSize, CancellationToken.None)
            .Zip(step.GetProperty("scores").Floats(), (sample, score) => sample with { Score = score }).ToArray();
    }

    private static void AssertStatistics(JsonElement step, StepStats stats, string what)
    {
        var isMasked = step.TryGetProperty("response_masks", out _);
        var golden = step.GetProperty("stats");
        var compared = 0;
        foreach (var stat in golden.EnumerateObject())
        {
            var isOurs = !isMasked || !stat.Name.StartsWith("tokens/responses", StringComparison.Ordinal);
            if (stat.Value.ValueKind != JsonValueKind.Number || !isOurs)
                continue;
            Assert.True(stats.Metrics.TryGetValue(stat.Name, out var actual), $"{what}: {stat.Name} is missing");
            Close(stat.Value.GetDouble(), actual, 1e-5, $"{what} {stat.Name}");
            compared++;
        }
        Assert.True(compared >= 20, $"{what}: only {compared} statistics compared");
    }

    /// <summary>TRL's per-token lists, which cover its padded [B, T] layout, at the tokens that count.</summary>
    private static void AssertTokens(
        JsonElement step, StepStats stats, IReadOnlyList<RolloutSample> samples, int[][] order, bool padsLeft, string what)
    {
        var golden = step.GetProperty("stats");
        if (!golden.TryGetProperty("objective/logprobs", out var logProbs)) // only some steps have them
            return;
        var responses = step.GetProperty("responses").IntegerRows();
        var length = logProbs[0].GetArrayLength();
        Rows("objective/logprobs", sample => sample.LogProbs);
        Rows("objective/ref_logprobs", sample => sample.ReferenceLogProbs);
        Flat("ppo/policy/advantages", stats.Advantages);
        Flat("ppo/policy/ratio", stats.Ratios);

        int Start(int row) => padsLeft ? length - responses[row].Length : samples[row].Query.Length - 1;

        void Rows(string key, Func<RolloutSample, float[]> ours)
        {
            var rows = golden.GetProperty(key).FloatRows();
            for (var row = 0; row < rows.Length; row++)
            {
                var real = rows[row].Skip(Start(row)).Take(samples[row].Response.Length).ToArray();
                GoldenJson.Close(tensor(real), tensor(ours(samples[row])), 1e-5, $"{what} {key}");
            }
        }

        void Flat(string key, float[] ours)
        {
            var all = golden.GetProperty(key).Floats();
            var visited = order.SelectMany(rows => rows).Take(all.Length / length).ToArray(); // fewer after an early stop
            var real = visited.SelectMany((row, i) => all.Skip((i * length) + Start(row)).Take(samples[row].Response.Length)).ToArray();
            GoldenJson.Close(tensor(real), tensor(ours), 1e-5, $"{what} {key}");
        }
    }

    private static Dictionary<string, Tensor> Tensors(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.LoadAll();
    }

    private static void Close(double expected, double actual, double tolerance, string what) =>
        GoldenJson.Close(expected, actual, tolerance, what);
}
