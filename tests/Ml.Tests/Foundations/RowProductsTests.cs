using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CsCheck;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests;

public sealed class RowProductsTests
{
    [Fact]
    public void Products_are_libtorchs_whatever_the_sizes_and_types()
    {
        var types = Gen.OneOf(Gen.Const(ScalarType.Float32), Gen.Const(ScalarType.BFloat16));
        Gen.Select(Gen.Int[1, 70], Gen.Int[1, 1200], Gen.Int[1, 40], types).Sample((rows, inputs, outputs, type) =>
        {
            using var scope = NewDisposeScope();
            var (x, weight) = (Random(rows, inputs, 1), Random(outputs, inputs, 2).to(type));
            var expected = nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64)).to(ScalarType.Float32);
            AssertTensor.Close(expected, RowProducts.Multiply(x, WeightRows.Of(weight)), 1e-3, $"{rows} × {inputs} × {outputs} {type}");
        }, iter: 60, threads: 1);
    }

    [Theory]
    [InlineData("float32")]
    [InlineData("bfloat16")]
    [InlineData("nf4")]
    public void A_rows_product_is_the_same_to_the_last_bit_whatever_the_rows_beside_it(string kind)
    {
        using var scope = NewDisposeScope();
        var weight = Random(29, 1088, 3);
        using var quantized = new Nf4Rows(Nf4Weight.Quantize(weight.to(ScalarType.Float16)));
        var rows = kind switch
        {
            "nf4" => quantized,
            "bfloat16" => WeightRows.Of(weight.to(ScalarType.BFloat16)),
            _ => WeightRows.Of(weight),
        };
        var x = Random(67, 1088, 4);
        var together = RowProducts.Multiply(x, rows);
        for (var row = 0; row < 67; row++)
            AssertTensor.Identical(together[row].clone(), RowProducts.Multiply(x.narrow(0, row, 1), rows)[0].clone(), $"{kind}, row {row}");
    }

    [Fact]
    public void Every_machine_looks_codes_up_alike()
    {
        var table = Vector512.Create(Nf4.Levels);
        Gen.Int.Array[16].Sample(numbers =>
        {
            var codes = Vector512.Create(numbers);
            var expected = Vector512.Create([.. Enumerable.Range(0, 16).Select(lane => table[codes[lane] & 15])]);
            Assert.Equal(expected, Nf4.LookupByBytes(table, codes));
            Assert.Equal(expected, Nf4.Lookup(table, codes));
            if (Avx2.IsSupported)
                Assert.Equal(
                    expected, Vector512.Create(Nf4.LookupEight(table, codes.GetLower()), Nf4.LookupEight(table, codes.GetUpper())));
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void Bfloat16_weights_are_those_libtorch_rounds_to()
    {
        using var scope = NewDisposeScope();
        var weight = Random(9, 192, 5).to(ScalarType.Float16);
        using var quantized = Nf4Weight.Quantize(weight);
        var expected = quantized.Dequantize(ScalarType.BFloat16);
        using var rows = new Nf4Rows(Nf4Weight.Quantize(weight));
        var actual = empty(9, 192, ScalarType.BFloat16);
        rows.Read(0, actual);
        AssertTensor.Identical(expected, actual, "weights");
    }

    private static Tensor Random(long rows, long columns, ulong seed)
    {
        using var generator = new Generator(seed, CPU);
        return randn([rows, columns], generator: generator);
    }
}
