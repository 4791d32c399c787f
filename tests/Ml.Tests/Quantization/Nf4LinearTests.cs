using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Quantization;

public sealed class Nf4LinearTests
{
    [Fact]
    public void Direct_products_are_those_with_the_dequantised_weights_whatever_the_rows_and_types()
    {
        var types = Gen.OneOf(Gen.Const(ScalarType.Float32), Gen.Const(ScalarType.Float16), Gen.Const(ScalarType.BFloat16));
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 5], Gen.Int[1, 70], types)
            .Sample((rows, blocks, outputs, type) =>
            {
                using var scope = NewDisposeScope();
                var weight = Random(outputs, blocks * 64, 3).to(type);
                using var layer = new Nf4Linear(Nf4Weight.Quantize(weight), null);
                var dense = Nf4Weight.Quantize(weight).Dequantize(ScalarType.Float32);
                var x = Random(rows, blocks * 64, 4);
                AssertTensor.Close(nn.functional.linear(x, dense), layer.forward(x), 1e-4, $"{rows} × {blocks} × {outputs} {type}");
            }, iter: 60, threads: 1);
    }

    [Fact]
    public void A_matrix_quantised_in_pieces_is_that_of_its_rows()
    {
        using var scope = NewDisposeScope();
        var weight = Random(1100, 1984, 9).to(ScalarType.Float16); // two pieces and a part of one
        using var whole = Nf4Weight.Quantize(weight);
        foreach (var row in new[] { 0, 527, 528, 529, 1056, 1057, 1058, 1099 })
        {
            using var alone = Nf4Weight.Quantize(weight.narrow(0, row, 1));
            AssertTensor.Identical(alone.Codes, whole.Codes.narrow(0, row * 992, 992).clone(), $"codes of row {row}");
            AssertTensor.Identical(alone.Scales, whole.Scales.narrow(0, row * 31, 31).clone(), $"scales of row {row}");
        }
    }

    [Fact]
    public void A_rows_product_does_not_depend_on_the_rows_beside_it()
    {
        using var scope = NewDisposeScope();
        using var layer = new Nf4Linear(Nf4Weight.Quantize(Random(33, 128, 5)), null);
        var x = Random(7, 128, 6);
        var together = layer.forward(x);
        for (var row = 0; row < 7; row++)
            AssertTensor.Identical(together[row].clone(), layer.forward(x.narrow(0, row, 1))[0].clone(), $"row {row}");
    }

    [Fact]
    public void Weights_are_rounded_as_libtorch_rounds_them_down_to_the_smallest_halves()
    {
        var types = Gen.OneOf(Gen.Const(ScalarType.Float32), Gen.Const(ScalarType.Float16), Gen.Const(ScalarType.BFloat16));
        Gen.Select(Gen.Int[1, 5], Gen.Int[1, 150], Gen.Int[-27, 12], types).Sample((rows, columns, exponent, type) =>
        {
            using var scope = NewDisposeScope();
            using var weight = Nf4Weight.Quantize(Random(rows, columns, 8).mul(Math.Pow(2, exponent)).to(type));
            AssertTensor.Identical(weight.DequantizeAnywhere().view(rows, columns), weight.Dequantize(type), $"2^{exponent} {type}");
        }, iter: 300, threads: 1);
    }

    [Fact]
    public void Each_weight_moves_by_less_than_half_the_widest_gap_of_its_block()
    {
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 150], Gen.Float[1e-3f, 100f]).Sample((rows, columns, scale) =>
        {
            using var scope = NewDisposeScope();
            var weight = Random(rows, columns, 7).mul(scale);
            using var quantized = Nf4Weight.Quantize(weight);
            var scales = quantized.Scales.repeat_interleave(64).narrow(0, 0, rows * columns).view(rows, columns);
            var error = (quantized.Dequantize(ScalarType.Float32) - weight).abs() / scales;
            Assert.True(error.le(0.153).all().item<bool>());
        }, iter: 60, threads: 1);
    }

    [Fact]
    public void A_four_bit_model_trains_its_adapter_and_leaves_no_tensors_behind()
    {
        using var model = LlamaForCausalLm.Load(RepositoryRoot.Path("samples/models/llama"), ModelPrecision.Nf4);
        using var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 2, TargetModules = ["all-linear"] }, seed: 1);
        using var ids = tensor(new long[,] { { 1, 5, 9, 2 } });
        NoLeaks.In(() =>
        {
            using var scope = NewDisposeScope();
            model.Logits(model.Hidden(ids)).logsumexp(-1).sum().backward();
            Assert.All(
                adapter.Parameters.Where(p => p.Name.Contains("lora_B", StringComparison.Ordinal)),
                p => Assert.True(p.Parameter.grad!.abs().sum().item<float>() > 0, p.Name));
            foreach (var (_, parameter) in adapter.Parameters)
                parameter.grad = null;
        });
        Assert.Throws<NotSupportedException>(adapter.Merge);
    }

    [Fact]
    public void A_four_bit_model_is_close_to_the_model_it_was_quantised_from()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var folder = RepositoryRoot.Path("samples/models/llama");
        using var model = LlamaForCausalLm.Load(folder, ModelPrecision.Nf4);
        using var exact = LlamaForCausalLm.Load(folder);
        Assert.All(model.Projections(), p => Assert.IsType<Nf4Linear>(p.Layer));
        var ids = tensor(new long[,] { { 1, 1222, 13, 1253, 339, 416, 272 } });
        var similarity = nn.functional.cosine_similarity(exact.Logits(exact.Hidden(ids)), model.Logits(model.Hidden(ids)), 2);
        Assert.True(similarity.min().item<float>() > 0.95, $"{similarity.min().item<float>()}");
    }

    private static Tensor Random(long rows, long columns, ulong seed)
    {
        using var generator = new Generator(seed, CPU);
        return randn([rows, columns], generator: generator);
    }
}
