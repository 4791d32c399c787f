using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Tests.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>Against numbers from executing transformers (golden/hf/roberta).</summary>
[Trait("Category", "Parity")]
public sealed class RobertaParityTests
{
    private const double Tolerance = 1e-5;

    [Fact]
    public void Each_text_alone_gives_transformers_logits()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, tensors) = Load();
        var golden = JsonDocument.Parse(File.ReadAllText(SharedFolder.Path("golden/hf/roberta/tiny/golden.json"))).RootElement;
        var rows = golden.GetProperty("rows").Deserialize<long[][]>()!;
        for (var i = 0; i < rows.Length; i++)
        {
            var ids = tensor(rows[i]).unsqueeze(0);
            var logits = model.Logits(ids, ones_like(ids, ScalarType.Bool))[0];
            AssertTensor.Close(tensors.Load($"alone.{i}.logits"), logits, Tolerance, $"row {i}");
        }
    }

    [Fact]
    public void A_padded_batch_gives_transformers_logits()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, tensors) = Load();
        var logits = model.Logits(tensors.Load("batch.input_ids"), tensors.Load("batch.attention_mask").to(ScalarType.Bool));
        AssertTensor.Close(tensors.Load("batch.logits"), logits, Tolerance);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void Texts_give_transformers_logits_by_label_alone_and_padded_short_and_cut_off(int batchSize)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var folder = SharedFolder.Path("golden/hf/roberta/text");
        using var model = RobertaForSequenceClassification.Load(folder);
        var tokenizer = TokenizerFolders.RobertaBase();
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "golden.json")));
        var maxLength = golden.RootElement.GetProperty("max_length").GetInt32();
        foreach (var batch in golden.RootElement.GetProperty("texts").EnumerateArray().Chunk(batchSize))
        {
            using var batchScope = NewDisposeScope();
            var rows = Array.ConvertAll(batch, example => tokenizer.Encode(example.GetProperty("text").GetString()!, maxLength));
            var width = rows.Max(row => row.Length);
            long[] Pad(int[] row) => [.. row.Select(id => (long)id), .. Enumerable.Repeat((long)tokenizer.PadId, width - row.Length)];
            var ids = stack([.. rows.Select(row => tensor(Pad(row)))]); // [b, T]
            var isReal = arange(width).unsqueeze(0) < tensor(Array.ConvertAll(rows, row => (long)row.Length)).unsqueeze(1); // [b, T]
            var logits = model.Logits(ids, isReal);
            foreach (var (row, example) in batch.Index())
                foreach (var (label, name) in model.Config.Labels)
                    Assert.Equal(example.GetProperty(name).GetDouble(), logits[row, label].item<float>(), 1e-4);
        }
    }

    [Fact]
    public void Labels_are_those_of_the_configuration() =>
        Assert.Equal(
            new Dictionary<int, string> { [0] = "nothate", [1] = "hate" },
            RobertaConfig.Load(SharedFolder.Path("golden/hf/roberta/tiny")).Labels);

    private static (RobertaForSequenceClassification Model, SafetensorsFile Tensors) Load()
    {
        var folder = SharedFolder.Path("golden/hf/roberta/tiny");
        return (RobertaForSequenceClassification.Load(folder), SafetensorsFile.Open(Path.Combine(folder, "golden.safetensors")));
    }
}
