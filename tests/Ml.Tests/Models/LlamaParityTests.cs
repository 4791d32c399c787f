using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>Against numbers from executing transformers (golden/hf).</summary>
[Trait("Category", "Parity")]
public sealed partial class LlamaParityTests
{
    private const double Tolerance = 1e-4; // of logits of size 10 in float32

    public static TheoryData<string> Folders =>
        ["gqa-untied", "mha-tied", "fp16-one-kv", "sharded-bf16", "rope-llama3", "rope-linear", "bias-head-dim", "transformers5"];

    [Theory]
    [MemberData(nameof(Folders))]
    public void Each_row_alone_gives_transformers_hidden_states_and_logits(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, golden, tensors) = Load(folder);
        var rows = golden.GetProperty("rows").Deserialize<long[][]>()!;
        for (var i = 0; i < rows.Length; i++)
        {
            var hidden = model.Hidden(tensor(rows[i]).unsqueeze(0));
            AssertTensor.Close(tensors.Load($"alone.{i}.hidden"), hidden[0], Tolerance, $"hidden of row {i}");
            AssertTensor.Close(tensors.Load($"alone.{i}.logits"), model.Logits(hidden)[0], Tolerance, $"logits of row {i}");
        }
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Padded_batches_give_transformers_logits_at_real_tokens(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, _, tensors) = Load(folder);
        foreach (var side in new[] { "left", "right" })
        {
            if (!tensors.Entries.ContainsKey($"{side}.logits"))
                Assert.Skip($"{folder} has no padded batch.");
            // Numbers of a padded batch were taken with positions 0, 1, … in every row, as TRL calls the model.
            var isReal = tensors.Load($"{side}.attention_mask").to(ScalarType.Bool);
            var logits = model.Logits(model.Hidden(tensors.Load($"{side}.input_ids"), isRealToken: isReal));
            AssertTensor.Close(tensors.Load($"{side}.logits")[isReal], logits[isReal], Tolerance, side);
            Assert.True(logits.isfinite().all().item<bool>(), "pads give numbers too");
        }
        var plain = model.Logits(model.Hidden(tensors.Load("right.input_ids")));
        var isRealRight = tensors.Load("right.attention_mask").to(ScalarType.Bool);
        AssertTensor.Close(tensors.Load("right.logits")[isRealRight], plain[isRealRight], Tolerance, "right without a mask");
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Greedy_generation_gives_transformers_ids_with_and_without_a_cache(string folder)
    {
        using var scope = NewDisposeScope();
        var (model, golden, _) = Load(folder);
        var checkedCases = 0;
        foreach (var example in golden.GetProperty("greedy").EnumerateArray())
        {
            var options = example.GetProperty("options").EnumerateObject().ToDictionary(o => o.Name, o => o.Value);
            if (options.Keys.Except(["max_new_tokens", "eos_token_id"]).Any())
                continue; // logits processors are no business of the model
            var prompts = example.GetProperty("prompts").Deserialize<long[][]>()!;
            var expected = example.GetProperty("new_ids").Deserialize<long[][]>()!;
            var eos = options["eos_token_id"];
            long[] endIds = eos.ValueKind switch
            {
                JsonValueKind.Null => [],
                JsonValueKind.Number => [eos.GetInt64()],
                _ => eos.Deserialize<long[]>()!,
            };
            foreach (var useCache in new[] { false, true })
            {
                var length = options["max_new_tokens"].GetInt32();
                var actual = GreedyLoop.Run(model, prompts, length, endIds, model.Config.PadId!.Value, useCache);
                for (var row = 0; row < prompts.Length; row++)
                    Assert.Equal(expected[row], actual[row][..expected[row].Length]);
            }
            checkedCases++;
        }
        Assert.True(checkedCases >= 1);
    }

    [Fact]
    public void A_trained_model_gives_the_published_logits_after_the_begin_token()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var model = LlamaForCausalLm.Load(SharedFolder.Path("models/stories260K-hf"));
        var logits = model.Logits(model.Hidden(tensor(new long[,] { { model.Config.BeginOfTextId!.Value } })))[0, 0];
        var published = Published().Match(File.ReadAllText(SharedFolder.Path("README.md")).Replace('−', '-'));
        Assert.True(published.Success, "The shared folder's README no longer tells the logits after BOS.");
        float[] first = [.. published.Groups["first"].Value.Split(' ').Select(x => float.Parse(x, CultureInfo.InvariantCulture))];
        AssertTensor.Close(tensor(first), logits[..first.Length], 2e-5);
        var other = int.Parse(published.Groups["id"].Value, CultureInfo.InvariantCulture);
        Assert.Equal(double.Parse(published.Groups["logit"].Value, CultureInfo.InvariantCulture), logits[other].item<float>(), 2e-5);
    }

    [Fact]
    public void A_trained_model_continues_the_begin_token_as_published()
    {
        var folder = SharedFolder.Path("models/stories260K-hf");
        using var model = LlamaForCausalLm.Load(folder);
        var expected = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "greedy_ids.json"))).RootElement.Deserialize<long[]>()!;
        var actual = GreedyLoop.Run(model, [[expected[0]]], expected.Length - 1, [], padId: 0, useCache: true)[0];
        Assert.Equal(expected[1..], actual);
    }

    [GeneratedRegex(@"Logits after BOS, ids 0-\d+: (?<first>[-\d. ]+); id (?<id>\d+): (?<logit>-?\d+\.\d+)")]
    private static partial Regex Published();

    private static (LlamaForCausalLm Model, JsonElement Golden, SafetensorsFile Tensors) Load(string name)
    {
        var folder = SharedFolder.Path($"golden/hf/llama/{name}");
        var golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "golden.json"))).RootElement.Clone();
        return (LlamaForCausalLm.Load(folder), golden, SafetensorsFile.Open(Path.Combine(folder, "golden.safetensors")));
    }
}
