using System.Text.Json;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Rollout;

[Trait("Category", "Parity")]
public class LogitsProcessorsTests
{
    private static readonly HashSet<int> None = [];

    [Fact]
    public void Distributions_after_all_processors_are_those_of_transformers()
    {
        foreach (var golden in GoldenJson.Read("golden/hf/generation/processors.json").GetProperty("cases").EnumerateArray())
        {
            using var scope = NewDisposeScope();
            var options = golden.GetProperty("options");
            var ids = golden.GetProperty("ids").IntegerRows();
            var processors = FromOptions(options);

            var newTokens = ids[0].Length - (int)Number(options, "prompt_length", 0);
            var endOfText = (EndOfText(options, "eos") ?? []).ToHashSet();
            var processed = processors.Process(golden.GetProperty("logits").Tensor(), ids, newTokens, endOfText);
            var probabilities = nn.functional.softmax(processors.Warp(processed, Number(options, "temperature", 1)), -1);

            GoldenJson.Close(golden.GetProperty("probabilities").Tensor(), probabilities, 1e-6, options.GetRawText());
        }
    }

    [Fact]
    public void Each_stage_of_a_sampling_pipeline_is_that_of_transformers()
    {
        using var scope = NewDisposeScope();
        var golden = GoldenJson.Read("golden/trl/sampling_golden.json");
        var logits = golden.GetProperty("logits").Tensor().unsqueeze(0);
        var seen = golden.GetProperty("prev").Integers();

        var penalised = new LogitsProcessors { RepetitionPenalty = 1.1 }.Process(logits, [seen], 0, None);
        Same("rep_1_1", penalised);
        Same("temp_0_7", LogitsProcessors.None.Warp(penalised, 0.7));
        Same("topk5", new LogitsProcessors { TopK = 5 }.Warp(penalised, 0.7));
        var cut = new LogitsProcessors { TopK = 5, TopP = 0.9 }.Warp(penalised, 0.7);
        Same("topp_0_9", cut);
        Same("probs", nn.functional.softmax(cut, -1));

        void Same(string key, Tensor actual)
        {
            var expected = golden.GetProperty(key).EnumerateArray()
                .Select(x => x.ValueKind == JsonValueKind.String ? float.NegativeInfinity : x.GetSingle()).ToArray();
            Assert.Equal(expected, actual.squeeze(0).data<float>().ToArray(), (one, other) => one == other || Math.Abs(one - other) < 1e-6);
        }
    }

    [Fact]
    public void No_ngram_occurs_twice()
    {
        using var scope = NewDisposeScope();
        var processed = new LogitsProcessors { NoRepeatNgramSize = 3 }.Process(zeros(1, 6), [[1, 2, 3, 1, 2, 4, 1, 2]], 0, None);
        Assert.Equal([false, false, false, true, true, false], processed.isinf().squeeze(0).data<bool>().ToArray());
    }

    /// <summary>Processors from transformers' generate options.</summary>
    internal static LogitsProcessors FromOptions(JsonElement options) => new()
    {
        RepetitionPenalty = Number(options, "repetition_penalty", 1),
        NoRepeatNgramSize = (int)Number(options, "no_repeat_ngram_size", 0),
        MinLength = (int)Number(options, "min_length", 0),
        MinNewTokens = (int)Number(options, "min_new_tokens", 0),
        TopK = (int)Number(options, "top_k", 0),
        TopP = Number(options, "top_p", 1),
        MinP = Number(options, "min_p", 0),
    };

    /// <summary>One id, several, or none.</summary>
    internal static int[]? EndOfText(JsonElement options, string name) => !options.TryGetProperty(name, out var ids) ? null
        : ids.ValueKind == JsonValueKind.Number ? [ids.GetInt32()]
        : ids.ValueKind == JsonValueKind.Array ? ids.Integers() : null;

    private static double Number(JsonElement options, string name, double whenAbsent) =>
        options.TryGetProperty(name, out var number) ? number.GetDouble() : whenAbsent;
}
