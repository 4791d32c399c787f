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

/// <summary>GRPO and its kin, RLOO and DPO as TRL executed them: loss, gradients and metrics of one pass.</summary>
[Trait("Category", "Parity")]
public sealed class BeyondPpoTests
{
    private const double Tolerance = 1e-5;

    // The mean logit and the share of best guesses are of no use to anybody here, and cost a pass over the vocabulary.
    private static readonly string[] NotReported = ["logits/chosen", "logits/rejected", "mean_token_accuracy", "num_tokens"];

    private static readonly JsonElement Golden = GoldenJson.Read("golden/beyond-ppo/golden.json");

    [Fact]
    public void Every_case_gives_trls_loss_gradients_and_metrics() => Assert.Multiple(
        [.. Golden.GetProperty("cases").EnumerateArray().Select<JsonElement, Action>(@case => () => Check(@case))]);

    [Fact]
    public void Advantages_are_trls()
    {
        using var scope = NewDisposeScope();
        var tensors = Tensors();
        var group = Golden.GetProperty("group").GetInt32();
        double[] rewards = Doubles(tensors["rewards"]);
        GoldenJson.Close(
            tensors["advantages.grpo"], tensor(GroupAdvantages.Relative(rewards, group, AdvantageScale.Group)), Tolerance, "grpo");

        GoldenJson.Close(tensors["advantages.rloo"], tensor(GroupAdvantages.LeaveOneOut(rewards, group)), Tolerance, "rloo");
    }

    private static void Check(JsonElement @case)
    {
        using var scope = NewDisposeScope();
        var (name, settings, tensors) = (@case.GetProperty("name").GetString()!, @case.GetProperty("settings"), Tensors());
        var policy = StartingPolicy(tensors);
        var samples = @case.GetProperty("kind").GetString() == "dpo" ? Preferences() : Rollouts(tensors);
        var longest = (int)tensors["completion_ids"].shape[1];
        using var scored = MiniBatch.Learn(policy, samples, [[.. Enumerable.Range(0, samples.Count)]], temperature: 1, scores => LossOf(scores).Total);
        scored.AddGradients();
        var loss = LossOf(scored.Scores);

        GoldenJson.Close(@case.GetProperty("loss").GetDouble(), loss.Total.item<float>(), Tolerance, $"{name} loss");
        var gradients = tensors.Where(named => named.Key.StartsWith($"grad.{name}.", StringComparison.Ordinal)).ToArray();
        Assert.Equal(policy.Parameters.Count, gradients.Length);
        var trained = policy.Parameters.ToDictionary();
        foreach (var (key, expected) in gradients)
            GoldenJson.Close(expected, trained[key[$"grad.{name}.".Length..]].grad!, Tolerance, $"{name} {key}");
        foreach (var metric in @case.GetProperty("metrics").EnumerateObject().Where(metric => !NotReported.Contains(metric.Name)))
        {
            var ours = metric.Name == "entropy" ? MetricNames.Entropy : metric.Name;
            Assert.True(loss.Metrics.TryGetValue(ours, out var actual), $"{name}: {metric.Name} is missing");
            GoldenJson.Close(metric.Value.GetDouble(), actual, Tolerance, $"{name} {metric.Name}");
        }

        Loss LossOf(TokenScores scores) => @case.GetProperty("kind").GetString() switch
        {
            "grpo" => Grpo.LossOf(
                scores.LogProbs, scores.Entropy, Targets(tensors, samples, "advantages.grpo"), OfGrpo(settings), Whole(samples, 1), longest),
            "rloo" => Rloo.LossOf(scores.LogProbs, scores.Entropy, Targets(tensors, samples, "advantages.rloo"), new()
            {
                ClipRange = settings.GetProperty("epsilon").GetDouble(),
                ClipRangeHigh = Optional(settings, "epsilon_high"),
            }, Whole(samples, 1)),
            "dpo" => DpoLoss(policy, samples, scores, OfDpo(settings)),
            var kind => throw new NotSupportedException($"{name}: {kind} is no algorithm."),
        };
    }

    private static Loss DpoLoss(TrainedPolicy policy, IReadOnlyList<RolloutSample> samples, TokenScores scores, DpoSettings settings)
    {
        TokenScores reference;
        using (no_grad())
        using (policy.WithAdapterDisabled())
            reference = policy.Score(SequenceBatch.Of([.. samples.Select(sample => sample.Query)], [.. samples.Select(sample => sample.Response)], CPU), 1);
        return Dpo.LossOf(
            scores.LogProbs, scores.Entropy, reference.LogProbs, RolloutTensors.Of(samples, CPU).IsResponseToken, settings,
            Whole(samples, 2));
    }

    private static WholeStep Whole(IReadOnlyList<RolloutSample> samples, int perUnit) =>
        new(samples.Count / perUnit, samples.Sum(sample => sample.Response.Length), MiniBatches: 1);

    private static GroupTargets Targets(Dictionary<string, Tensor> tensors, IReadOnlyList<RolloutSample> samples, string advantages) => new(
        tensors["old_logprobs"], tensors["ref_logprobs"], tensors[advantages].unsqueeze(1), RolloutTensors.Of(samples, CPU).IsResponseToken);

    private static GrpoSettings OfGrpo(JsonElement settings) => new()
    {
        KlCoefficient = settings.GetProperty("beta").GetDouble(),
        ClipRange = settings.GetProperty("epsilon").GetDouble(),
        ClipRangeHigh = Optional(settings, "epsilon_high"),
        RatioCap = Optional(settings, "delta"),
        Ratio = Enum.Parse<RatioLevel>(settings.GetProperty("importance_sampling_level").GetString()!, ignoreCase: true),
        ScaleRewards = Enum.Parse<AdvantageScale>(settings.GetProperty("scale_rewards").GetString()!, ignoreCase: true),
        Loss = settings.GetProperty("loss_type").Deserialize<LossReduction>(ContractsJson.Strict),
    };

    private static DpoSettings OfDpo(JsonElement settings) => new()
    {
        Beta = settings.GetProperty("beta").GetDouble(),
        LabelSmoothing = Optional(settings, "label_smoothing") ?? 0,
        Loss = !settings.TryGetProperty("loss_type", out var kinds) || kinds[0].GetString() == "robust"
            ? PreferenceLoss.Sigmoid
            : kinds[0].Deserialize<PreferenceLoss>(ContractsJson.Strict),
    };

    private static double? Optional(JsonElement settings, string name) =>
        settings.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    private static IReadOnlyList<RolloutSample> Rollouts(Dictionary<string, Tensor> tensors) => Samples(
        Real(tensors["prompt_ids"], tensors["prompt_mask"]), Real(tensors["completion_ids"], tensors["completion_mask"]));

    /// <summary>TRL lays all chosen ones before all rejected ones; here they take turns.</summary>
    private static IReadOnlyList<RolloutSample> Preferences()
    {
        var batch = Golden.GetProperty("dpo_batch");
        var (ids, real, completion) = (batch.GetProperty("input_ids").IntegerRows(), batch.GetProperty("attention_mask").IntegerRows(),
            batch.GetProperty("completion_mask").IntegerRows());
        var pairs = ids.Length / 2;
        int[] rows = [.. Enumerable.Range(0, pairs).SelectMany(pair => (int[])[pair, pair + pairs])];
        return Samples(
            [.. rows.Select(row => Where(row, t => real[row][t] == 1 && completion[row][t] == 0))],
            [.. rows.Select(row => Where(row, t => completion[row][t] == 1))]);

        int[] Where(int row, Func<int, bool> counts) => [.. ids[row].Where((_, t) => counts(t))];
    }

    private static int[][] Real(Tensor ids, Tensor mask) => [.. Enumerable.Range(0, (int)ids.shape[0])
        .Select(row => ids[row].masked_select(mask[row].to(ScalarType.Bool)).data<long>().Select(id => (int)id).ToArray())];

    private static RolloutSample[] Samples(int[][] queries, int[][] responses) => [.. queries.Select((query, i) => new RolloutSample
    {
        Index = i,
        Query = query,
        Response = responses[i],
        LogProbs = [],
        ReferenceLogProbs = [],
        Values = [],
        KlPenalties = [],
        Text = "",
        HasEnded = true,
        Score = 0,
        Terms = [],
        LabelProbability = null,
    })];

    private static TrainedPolicy StartingPolicy(Dictionary<string, Tensor> tensors)
    {
        var model = LlamaForCausalLm.Load(SharedFolder.Path("golden/hf/trl/base"));
        var start = tensors.Where(named => named.Key.StartsWith("start.", StringComparison.Ordinal)).ToDictionary(named => named.Key[6..], named => named.Value);
        var rank = (int)start.First(named => named.Key.EndsWith("lora_A.weight", StringComparison.Ordinal)).Value.shape[0];
        var adapter = LoraAdapter.Attach(model, new() { Rank = rank, Alpha = 2 * rank, TargetModules = ["q_proj", "v_proj"] }, seed: 0); // README: r 4, α 8
        var policy = new TrainedPolicy(model, adapter, valueHead: null);
        Assert.Equal(start.Count, policy.Parameters.Count);
        using var _ = no_grad();
        foreach (var (key, parameter) in policy.Parameters)
            parameter.copy_(start[key]);
        return policy;
    }

    private static double[] Doubles(Tensor x) => [.. x.to(float64).data<double>()];

    private static Dictionary<string, Tensor> Tensors()
    {
        using var file = SafetensorsFile.Open(SharedFolder.Path("golden/beyond-ppo/tensors.safetensors"));
        return file.LoadAll();
    }
}
