using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Artifacts;

/// <summary>Where a tensor lies in a safetensors file, and what it is.</summary>
/// <param name="Type">The element type.</param>
/// <param name="Shape">Sizes, outermost first; [] for a scalar.</param>
/// <param name="Offset">First byte, counted from the end of the header.</param>
/// <param name="Length">Bytes.</param>
public sealed record SafetensorsEntry(ScalarType Type, IReadOnlyList<long> Shape, long Offset, long Length);

/// <summary>A tensor that a file will hold.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">The element type.</param>
/// <param name="Shape">Sizes, outermost first; [] for a scalar.</param>
public sealed record SafetensorsPlan(string Name, ScalarType Type, IReadOnlyList<long> Shape);
