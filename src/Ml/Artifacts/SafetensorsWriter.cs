using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Artifacts;

/// <summary>
/// Writes a safetensors file tensor by tensor and in any order, so that a file larger than memory can be written. What lies where
/// is fixed from the start by the names, types and shapes; the bytes are those of <see cref="SafetensorsFile"/>'s Write.
/// </summary>
public sealed class SafetensorsWriter : IDisposable
{
    private readonly FileStream _file;
    private readonly SafetensorsHeader _header;
    private readonly long _dataStart;
    private readonly HashSet<string> _missing;

    /// <param name="path">The file; replaced if it is there.</param>
    /// <param name="tensors">All that will be written.</param>
    /// <param name="metadata">Free-form strings, such as <see cref="SafetensorsFile.PyTorchMetadata"/>.</param>
    public SafetensorsWriter(string path, IReadOnlyList<SafetensorsPlan> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var (json, order) = SafetensorsHeader.Build(tensors, metadata);
        var dataLength = tensors.Sum(t => t.Shape.Aggregate((long)t.Type.ElementSize(), (a, b) => a * b));
        _header = SafetensorsHeader.Parse(path, json, dataLength);
        _missing = [.. order];
        _file = File.Create(path);
        SafetensorsFile.WriteHeader(_file, json);
        _dataStart = _file.Position;
        _file.SetLength(_dataStart + dataLength);
    }

    /// <summary>Writes one tensor to its place.</summary>
    /// <exception cref="ArgumentException">It was not announced, or as something else.</exception>
    public void Write(string name, Tensor tensor)
    {
        if (!_header.Entries.TryGetValue(name, out var entry) || entry.Type != tensor.dtype || !entry.Shape.SequenceEqual(tensor.shape))
            throw new ArgumentException($"'{name}' [{string.Join(", ", tensor.shape)}] of {tensor.dtype} is not what was announced.", nameof(tensor));
        _file.Position = _dataStart + entry.Offset;
        SafetensorsFile.WriteNumbers(_file, tensor);
        _missing.Remove(name);
    }

    /// <summary>Ends the file.</summary>
    /// <exception cref="InvalidOperationException">A tensor was not written.</exception>
    public void Finish()
    {
        if (_missing.Count > 0)
            throw new InvalidOperationException($"{_file.Name}: {string.Join(", ", _missing.Order(StringComparer.Ordinal))} were announced but not written.");
        _file.Flush();
    }

    public void Dispose() => _file.Dispose();
}
