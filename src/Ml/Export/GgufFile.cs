using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Export;

/// <summary>A tensor of a GGUF file, loaded when its turn comes.</summary>
/// <param name="Name">As llama.cpp calls it.</param>
/// <param name="Shape">As PyTorch writes it; the file has it backwards.</param>
/// <param name="Type">Float32, Float16 or BFloat16.</param>
/// <param name="Load">The numbers; the file disposes them.</param>
internal sealed record GgufTensor(string Name, IReadOnlyList<long> Shape, ScalarType Type, Func<Tensor> Load);

/// <summary>Writes GGUF, version 3 (github.com/ggml-org/ggml, docs/gguf.md): what llama.cpp, Ollama and LLamaSharp read.</summary>
internal static class GgufFile
{
    private const int Alignment = 32;

    /// <summary>A type's number in the format, by ggml.h.</summary>
    private static readonly Dictionary<ScalarType, uint> TensorTypes = new() { [ScalarType.Float32] = 0, [ScalarType.Float16] = 1, [ScalarType.BFloat16] = 30 };

    /// <param name="path">The file; replaced if it is there.</param>
    /// <param name="facts">Strings, bools, uints, floats, and lists of strings, ints and floats, by key.</param>
    /// <param name="tensors">In the order of the file.</param>
    /// <exception cref="InvalidDataException">A number does not fit into its tensor's type.</exception>
    public static void Write(string path, IReadOnlyDictionary<string, object> facts, IReadOnlyList<GgufTensor> tensors)
    {
        using var file = new BinaryWriter(File.Create(path), Encoding.UTF8);
        file.Write("GGUF"u8);
        file.Write(3u);
        file.Write((ulong)tensors.Count);
        file.Write((ulong)facts.Count);
        foreach (var (key, value) in facts)
        {
            WriteText(file, key);
            WriteValue(file, value, writesType: true);
        }
        var offset = 0L;
        foreach (var tensor in tensors)
        {
            WriteText(file, tensor.Name);
            file.Write((uint)tensor.Shape.Count);
            foreach (var size in tensor.Shape.Reverse())
                file.Write((ulong)size);
            file.Write(TensorTypes[tensor.Type]);
            file.Write((ulong)offset);
            offset = Aligned(offset + Length(tensor));
        }
        Pad(file);
        foreach (var tensor in tensors)
        {
            WriteNumbers(file, tensor);
            Pad(file);
        }
    }

    private static void WriteNumbers(BinaryWriter file, GgufTensor tensor)
    {
        using var scope = NewDisposeScope();
        var numbers = Converted.To(tensor.Load(), tensor.Type, tensor.Name);
        Artifacts.SafetensorsFile.WriteNumbers(file.BaseStream, numbers);
    }

    private static long Length(GgufTensor tensor) => tensor.Shape.Aggregate((long)tensor.Type.ElementSize(), (a, b) => a * b);

    private static void WriteValue(BinaryWriter file, object value, bool writesType)
    {
        void Type(uint type)
        {
            if (writesType)
                file.Write(type);
        }
        switch (value)
        {
            case uint number:
                Type(4);
                file.Write(number);
                break;
            case int number:
                Type(5);
                file.Write(number);
                break;
            case float number:
                Type(6);
                file.Write(number);
                break;
            case bool flag:
                Type(7);
                file.Write(flag);
                break;
            case string text:
                Type(8);
                WriteText(file, text);
                break;
            case IReadOnlyList<string> texts:
                WriteList(file, 8, texts);
                break;
            case IReadOnlyList<int> numbers:
                WriteList(file, 5, numbers);
                break;
            case IReadOnlyList<float> numbers:
                WriteList(file, 6, numbers);
                break;
            default:
                throw new ArgumentException($"A {value.GetType().Name} has no place in a GGUF file.", nameof(value));
        }
    }

    private static void WriteList<T>(BinaryWriter file, uint itemType, IReadOnlyList<T> items)
        where T : notnull
    {
        file.Write(9u);
        file.Write(itemType);
        file.Write((ulong)items.Count);
        foreach (var item in items)
            WriteValue(file, item, writesType: false);
    }

    private static void WriteText(BinaryWriter file, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        file.Write((ulong)bytes.Length);
        file.Write(bytes);
    }

    private static void Pad(BinaryWriter file)
    {
        file.Flush();
        file.Write(new byte[Aligned(file.BaseStream.Position) - file.BaseStream.Position]);
        file.Flush();
    }

    private static long Aligned(long length) => (length + Alignment - 1) / Alignment * Alignment;
}
