using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Export;

/// <summary>Weights in the type they leave in.</summary>
internal static class Converted
{
    /// <summary>The numbers in another type, rounded once.</summary>
    /// <exception cref="InvalidDataException">One is too large for it.</exception>
    public static Tensor To(Tensor numbers, ScalarType type, string name)
    {
        var converted = numbers.to(type).contiguous();
        return converted.isfinite().all().item<bool>()
            ? converted
            : throw new InvalidDataException($"'{name}' holds numbers that do not fit into {type}: export as bf16, which reaches as far as float32.");
    }
}
