using System.Runtime.Intrinsics;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Quantization;

/// <summary>4-bit weights multiplied in whole numbers: nearly the product, and the same bits whoever else is multiplied.</summary>
public sealed unsafe class IntegerProductsTests
{
    [Theory]
    [InlineData(1, 8, 64)]
    [InlineData(1, 19, 1088)]
    [InlineData(2, 16, 512)]
    [InlineData(7, 21, 576)]
    [InlineData(64, 40, 2048)]
    public void Products_differ_from_the_exact_ones_by_less_than_bfloat16_would(int rows, int outputs, int inputs)
    {
        using var scope = NewDisposeScope();
        using var weight = Weight(outputs, inputs);
        var x = Random(rows, inputs);
        var exact = Multiply(x, weight, isExact: true);
        var found = Multiply(x, weight, isExact: false);
        var numbers = zeros(outputs, inputs);
        weight.Read(0, numbers);
        var half = x.bfloat16().to(ScalarType.Float32).matmul(numbers.bfloat16().to(ScalarType.Float32).t());
        Assert.True((found - exact).square().mean().item<float>() < (half - exact).square().mean().item<float>());
        Assert.True((found - exact).abs().max().item<float>() < 0.01f);
    }

    [Fact]
    public void A_row_is_what_it_is_alone_and_an_output_what_it_is_for_whoever_asks()
    {
        using var scope = NewDisposeScope();
        using var weight = Weight(48, 1088);
        var x = Random(9, 1088);
        var together = Multiply(x, weight, isExact: false);
        for (var row = 0; row < 9; row++)
            Assert.Equal(Bits(together[row]), Bits(Multiply(x.narrow(0, row, 1).contiguous(), weight, isExact: false)[0]));
        var parts = zeros(9, 48);
        Add(x, weight, parts, 0, 16);
        Add(x, weight, parts, 16, 48);
        Assert.Equal(Bits(together), Bits(parts));
    }

    [Fact]
    public void Nothing_gives_nothing_and_what_is_no_number_stays_none()
    {
        using var scope = NewDisposeScope();
        using var weight = Weight(8, 512);
        Assert.Equal(0, Multiply(zeros(2, 512), weight, isExact: false).abs().max().item<float>());
        using var nothing = new Nf4Rows(new Nf4Weight(zeros(8 * 512 / 2, ScalarType.Byte), zeros(8 * 8), [8, 512], ScalarType.Float16));
        Assert.Equal(0, Multiply(Random(2, 512), nothing, isExact: false).abs().max().item<float>());
        var x = Random(2, 512);
        x[0, 3] = float.NaN;
        var found = Multiply(x, weight, isExact: false);
        Assert.True(found[0].isnan().all().item<bool>());
        Assert.False(found[1].isnan().any().item<bool>());
    }

    [Fact]
    public void Machines_without_AVX_512_find_the_same_whole_numbers()
    {
        var table = Nf4.IntegerTable(8191);
        for (short code = 0; code < 16; code++)
        {
            var places = Vector512.Create((short)((2 * code) | 0x1E0)); // the neighbour's bits above
            var expected = (short)MathF.Round(Nf4.Levels[code] * 8191, MidpointRounding.ToEven);
            Assert.Equal(Vector512.Create(expected), Nf4.Lookup(table, places));
            Assert.Equal(Vector256.Create(expected), Nf4.LookupSixteen(table, places.GetLower()));
        }
        var random = new Random(3);
        Vector512<short> Any() => Vector512.Create([.. Enumerable.Range(0, 32).Select(_ => (short)random.Next(-8191, 8192))]);
        for (var i = 0; i < 100; i++)
        {
            var (x, w) = (Any(), Any());
            Assert.Equal(Vector512.Create([.. Enumerable.Range(0, 16).Select(lane => (x[2 * lane] * w[2 * lane]) + (x[(2 * lane) + 1] * w[(2 * lane) + 1]))]), IntegerProducts.ProductsOfHalves(x.AsInt32(), w.AsInt32()));
            Assert.Equal(IntegerProducts.ProductsOfHalves(x.AsInt32(), w.AsInt32()), IntegerProducts.Products(x, w));
        }
    }

    private static Nf4Rows Weight(int outputs, int inputs)
    {
        var seed = new Generator((ulong)(outputs + inputs));
        var scales = rand(outputs * inputs / 64, generator: seed) * 0.08 + 0.01;
        return new Nf4Rows(new Nf4Weight(
            randint(256, [outputs * inputs / 2], ScalarType.Byte, generator: seed), scales, [outputs, inputs], ScalarType.Float16));
    }

    private static Tensor Random(int rows, int inputs) => randn(rows, inputs, generator: new Generator(17));

    private static Tensor Multiply(Tensor x, Nf4Rows weight, bool isExact)
    {
        if (isExact)
            return RowProducts.Multiply(x, weight);
        var y = zeros(x.shape[0], weight.Outputs);
        Add(x, weight, y, 0, weight.Outputs);
        return y;
    }

    private static void Add(Tensor x, Nf4Rows weight, Tensor y, int first, int end)
    {
        var rows = (int)x.shape[0];
        using var room = empty(IntegerProducts.RoomFor(rows, weight.Inputs), ScalarType.Int16);
        IntegerProducts.Add(Memory.Of<float>(x), rows, weight, Memory.Of<float>(y), first, end, Memory.Of<short>(room));
    }

    private static int[] Bits(Tensor numbers) => Array.ConvertAll(numbers.contiguous().data<float>().ToArray(), BitConverter.SingleToInt32Bits);
}
