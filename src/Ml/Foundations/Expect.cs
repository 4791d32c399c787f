using System.Runtime.CompilerServices;
using TorchSharp;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>Guards of public entry points: they throw what was expected, what came, and of which argument.</summary>
public static class Expect
{
    /// <summary>A dimension that may have any size.</summary>
    public const long Any = -1;

    /// <summary>The tensor has exactly these sizes (<see cref="Any"/> matches every size).</summary>
    /// <exception cref="ArgumentException">It has others.</exception>
    public static void Shape(
        torch.Tensor tensor, ReadOnlySpan<long> expected, [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        var actual = tensor.shape;
        var fits = actual.Length == expected.Length;
        for (var i = 0; fits && i < actual.Length; i++)
            fits = expected[i] == Any || expected[i] == actual[i];
        if (!fits)
            throw new ArgumentException($"'{name}' has shape {Describe(actual)}, expected {Describe(expected)}.", name);
    }

    /// <summary>The tensor has this element type.</summary>
    /// <exception cref="ArgumentException">It has another.</exception>
    public static void Type(
        torch.Tensor tensor, torch.ScalarType expected, [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        if (tensor.dtype != expected)
            throw new ArgumentException($"'{name}' holds {tensor.dtype}, expected {expected}.", name);
    }

    /// <summary>The number lies in [low, high].</summary>
    /// <exception cref="ArgumentOutOfRangeException">It lies outside.</exception>
    public static void InRange(double value, double low, double high, [CallerArgumentExpression(nameof(value))] string? name = null)
    {
        if (!(value >= low && value <= high))
            throw new ArgumentOutOfRangeException(name, $"'{name}' is {value}, expected {low} to {high}.");
    }

    /// <summary>A shape as it is written in comments: [2, any, 64].</summary>
    public static string Describe(ReadOnlySpan<long> shape)
    {
        var sizes = new string[shape.Length];
        for (var i = 0; i < sizes.Length; i++)
            sizes[i] = shape[i] == Any ? "any" : shape[i].ToString();
        return $"[{string.Join(", ", sizes)}]";
    }
}
