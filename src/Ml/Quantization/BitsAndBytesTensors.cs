using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// A weight in a 4-bit checkpoint of transformers and bitsandbytes: the codes under the weight's own name, and beside them what is
/// needed to read them. With double quantisation the scales are 8-bit codes themselves.
/// </summary>
internal static class BitsAndBytesTensors
{
    private const string StateSuffix = ".quant_state.bitsandbytes__nf4";

    /// <summary>Whether the folder holds this weight in 4 bits.</summary>
    public static bool IsQuantized(HuggingFaceFolder folder, string weight) => folder.Find(weight + StateSuffix) is not null;

    /// <summary>The names of all tensors that belong to such a weight.</summary>
    public static IEnumerable<string> Names(string weight) =>
        [weight, .. new[] { ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", StateSuffix }.Select(s => weight + s)];

    /// <summary>What <see cref="Write"/> will write of a matrix in float16.</summary>
    public static IEnumerable<SafetensorsPlan> Plan(string weight, IReadOnlyList<long> shape)
    {
        var count = shape.Aggregate(1L, (a, b) => a * b);
        return
        [
            new(weight, ScalarType.Byte, [Nf4.CodeBytes(count), 1]),
            new($"{weight}.absmax", ScalarType.Float32, [Nf4.Blocks(count)]),
            new($"{weight}.quant_map", ScalarType.Float32, [Nf4.Levels.Length]),
            new(weight + StateSuffix, ScalarType.Byte, [State(shape).Length]),
        ];
    }

    /// <summary>Writes a weight that was quantised from float16, as bitsandbytes does without double quantisation, and disposes it.</summary>
    public static void Write(SafetensorsWriter file, string weight, Nf4Weight quantized)
    {
        using var weights = quantized;
        using var scope = NewDisposeScope();
        file.Write(weight, quantized.Codes.view(-1, 1));
        file.Write($"{weight}.absmax", quantized.Scales);
        file.Write($"{weight}.quant_map", tensor(Nf4.Levels));
        file.Write(weight + StateSuffix, tensor(State(quantized.Shape)));
    }

    /// <exception cref="InvalidDataException">The weight is not NF4 in blocks of 64, or its parts do not fit together.</exception>
    public static Nf4Weight Read(HuggingFaceFolder folder, string weight)
    {
        using var scope = NewDisposeScope();
        var state = ConfigFile.Parse(folder.Load(weight + StateSuffix).bytes.ToArray(), $"{folder.FolderPath}: '{weight}{StateSuffix}'");
        state.Require("quant_type", null, "nf4");
        if (state.Int("blocksize") != Nf4.BlockSize)
            throw new InvalidDataException($"{state.Name}: blocks of {state.Int("blocksize")}; supported are blocks of {Nf4.BlockSize}.");
        state.Require("dtype", null, "float16", "bfloat16", "float32");
        var type = state.Text("dtype") switch
        {
            "float16" => ScalarType.Float16,
            "bfloat16" => ScalarType.BFloat16,
            _ => ScalarType.Float32,
        };
        var shape = state.Ids("shape").Select(size => (long)size).ToArray();
        if (!folder.Load($"{weight}.quant_map").allclose(tensor(Nf4.Levels), rtol: 0, atol: 1e-6))
            throw new InvalidDataException($"{state.Name}: the levels in '{weight}.quant_map' are not those of NF4.");
        var scales = folder.Load($"{weight}.absmax");
        if (state.Find("nested_offset") is { } offset)
            scales = ReadNested(folder, weight, state, scales).add_(offset.GetSingle());
        var codes = folder.Load(weight).reshape(-1);
        var count = shape.Aggregate(1L, (a, b) => a * b);
        if (shape.Length != 2 || codes.shape[0] != Nf4.CodeBytes(count) || scales.shape[0] != Nf4.Blocks(count))
            throw new InvalidDataException(
                $"{state.Name}: {codes.shape[0]} bytes and {scales.shape[0]} scales cannot hold a matrix of [{string.Join(", ", shape)}].");
        return new Nf4Weight(codes, scales.to(ScalarType.Float32), shape, type);
    }

    private static byte[] State(IReadOnlyList<long> shape) => JsonSerializer.SerializeToUtf8Bytes(
        new { quant_type = "nf4", blocksize = Nf4.BlockSize, dtype = "float16", shape });

    /// <summary>scale = map[code] · the largest magnitude of its block of scales.</summary>
    private static Tensor ReadNested(HuggingFaceFolder folder, string weight, ConfigFile state, Tensor codes)
    {
        var magnitudes = folder.Load($"{weight}.nested_absmax")
            .repeat_interleave(state.Int("nested_blocksize")).narrow(0, 0, codes.shape[0]);
        return folder.Load($"{weight}.nested_quant_map").index_select(0, codes.to(ScalarType.Int32)).mul_(magnitudes);
    }
}
