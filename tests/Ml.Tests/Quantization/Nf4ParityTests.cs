using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Quantization;

/// <summary>Against numbers from executing bitsandbytes (golden/hf/nf4, golden/hf/llama/nf4-*) and golden/trl/nf4_golden.json.</summary>
[Trait("Category", "Parity")]
public sealed class Nf4ParityTests
{
    [Fact]
    public void Codes_scales_and_dequantised_weights_are_bitsandbytes_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(SharedFolder.Path("golden/hf/nf4/tensors.safetensors"));
        foreach (var name in Cases())
        {
            using var weight = Nf4Weight.Quantize(file.Load($"{name}.weight"));
            AssertTensor.Identical(file.Load($"{name}.quantized").view(-1), weight.Codes, $"{name} codes");
            if (name.EndsWith(".double", StringComparison.Ordinal))
                continue; // its scales are rounded once more; the checkpoints below have such
            AssertTensor.Identical(file.Load($"{name}.state.absmax"), weight.Scales, $"{name} scales");
            var expected = file.Load($"{name}.dequantized");
            AssertTensor.Identical(expected, weight.Dequantize(expected.dtype), name);
            AssertTensor.Identical(expected, weight.DequantizeAnywhere().view(expected.shape), $"{name} by libtorch");
        }
    }

    [Fact]
    public void Products_and_their_gradients_are_bitsandbytes()
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(SharedFolder.Path("golden/hf/nf4/tensors.safetensors"));
        var names = Cases().Where(n => n.EndsWith(".single", StringComparison.Ordinal) && file.Entries.ContainsKey($"{n}.y")).ToList();
        Assert.NotEmpty(names);
        foreach (var name in names)
        {
            using var layer = new Nf4Linear(Nf4Weight.Quantize(file.Load($"{name}.weight")), null);
            var x = file.Load($"{name}.x");
            AssertTensor.Close(file.Load($"{name}.y"), layer.forward(x), 1e-4, $"{name} y");
            using var input = x.clone().requires_grad_();
            var y = layer.forward(input);
            AssertTensor.Close(file.Load($"{name}.y"), y, 1e-4, $"{name} y with gradients");
            y.sum().backward();
            AssertTensor.Close(file.Load($"{name}.dy_dx"), input.grad!, 1e-4, $"{name} dx");
        }
    }

    [Fact]
    public void Codes_are_those_of_the_formulas()
    {
        using var scope = NewDisposeScope();
        using var golden = JsonDocument.Parse(File.ReadAllText(SharedFolder.Path("golden/trl/nf4_golden.json")));
        float[] Numbers(string key) => golden.RootElement.GetProperty(key).Deserialize<float[]>()!;
        using var weight = Nf4Weight.Quantize(tensor(Numbers("x")).to(ScalarType.Float16).view(2, -1));
        Assert.Equal(golden.RootElement.GetProperty("packed_hex").GetString(), Convert.ToHexStringLower(weight.Codes.bytes));
        Assert.Equal(Numbers("absmax"), weight.Scales.data<float>().ToArray());
        Assert.Equal(Numbers("dequant_fp16"), weight.Dequantize(ScalarType.Float32).data<float>().ToArray());
    }

    [Theory]
    [InlineData("nf4-checkpoint", ModelPrecision.Nf4)]
    [InlineData("nf4-checkpoint", ModelPrecision.Float32)]
    [InlineData("nf4-checkpoint-double", ModelPrecision.Nf4)]
    [InlineData("nf4-checkpoint-double", ModelPrecision.Float32)]
    public void Four_bit_checkpoints_give_the_logits_of_their_dequantised_weights(string folder, ModelPrecision precision)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var path = SharedFolder.Path($"golden/hf/llama/{folder}");
        using var model = LlamaForCausalLm.Load(path, precision, computeType: ScalarType.Float32);
        Assert.All(model.Projections(), p => Assert.Equal(precision == ModelPrecision.Nf4, p.Layer is Nf4Linear));
        using var golden = SafetensorsFile.Open(Path.Combine(path, "golden.safetensors"));
        var isReal = golden.Load("attention_mask").to(ScalarType.Bool);
        var logits = model.Logits(model.Hidden(golden.Load("input_ids"), isRealToken: isReal));
        AssertTensor.Close(golden.Load("logits")[isReal], logits[isReal], 1e-4);
    }

    private static IEnumerable<string> Cases()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(SharedFolder.Path("golden/hf/nf4/golden.json")));
        return [.. golden.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("name").GetString()!)];
    }
}
