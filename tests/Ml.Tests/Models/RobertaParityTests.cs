using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
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
