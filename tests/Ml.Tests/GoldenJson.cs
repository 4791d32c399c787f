using System.Text.Json;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests;

/// <summary>Golden numbers as the maths wants them.</summary>
internal static class GoldenJson
{
    public static JsonElement Read(string relative)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(SharedFolder.Path(relative)));
        return document.RootElement.Clone();
    }

    public static float[] Floats(this JsonElement array) => [.. array.EnumerateArray().Select(x => x.GetSingle())];

    public static int[] Integers(this JsonElement array) => [.. array.EnumerateArray().Select(x => x.GetInt32())];

    public static int[][] IntegerRows(this JsonElement rows) => [.. rows.EnumerateArray().Select(Integers)];

    public static float[][] FloatRows(this JsonElement rows) => [.. rows.EnumerateArray().Select(Floats)];

    /// <summary>A vector or matrix of numbers.</summary>
    public static Tensor Tensor(this JsonElement array) =>
        array[0].ValueKind == JsonValueKind.Array ? stack([.. array.EnumerateArray().Select(Tensor)]) : tensor(array.Floats());

    /// <summary>A mask of zeros and ones.</summary>
    public static Tensor Mask(this JsonElement rows) => rows.Tensor().to(ScalarType.Bool);

    /// <summary>Every element within a tolerance relative to one or to its own size, whichever is larger.</summary>
    public static void Close(Tensor expected, Tensor actual, double tolerance, string what)
    {
        Assert.True(expected.shape.SequenceEqual(actual.shape), $"{what}: shape [{string.Join(", ", actual.shape)}]");
        var exact = expected.to(ScalarType.Float64);
        var error = ((exact - actual.to(ScalarType.Float64)).abs() / exact.abs().clamp(min: 1)).max().item<double>();
        Assert.True(error <= tolerance, $"{what}: off by {error}");
    }

    public static void Close(double expected, double actual, double tolerance, string what) => Assert.True(
        Math.Abs(expected - actual) <= tolerance * Math.Max(1, Math.Abs(expected)), $"{what}: {actual} instead of {expected}");
}
