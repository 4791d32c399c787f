using System.Globalization;
using System.Text.Json;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Artifacts;

/// <summary>
/// The JSON in front of the tensors' bytes, checked completely before anything is read by it: the file may come from anywhere.
/// Format: https://huggingface.co/docs/safetensors/index#format.
/// </summary>
internal sealed class SafetensorsHeader
{
    private const string MetadataKey = "__metadata__";

    // Names and order of writing are the format's; the types are those libtorch computes with here.
    private static readonly (string Name, ScalarType Type, int Size)[] Types =
    [
        ("I64", ScalarType.Int64, 8), ("F64", ScalarType.Float64, 8), ("F32", ScalarType.Float32, 4), ("I32", ScalarType.Int32, 4),
        ("BF16", ScalarType.BFloat16, 2), ("F16", ScalarType.Float16, 2), ("I16", ScalarType.Int16, 2),
        ("I8", ScalarType.Int8, 1), ("U8", ScalarType.Byte, 1), ("BOOL", ScalarType.Bool, 1),
    ];

    private readonly string _file;

    private SafetensorsHeader(string file) => _file = file;

    public SortedDictionary<string, SafetensorsEntry> Entries { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, string> Metadata { get; } = [];

    /// <summary>Reads the header's JSON; every byte of the data that follows must belong to exactly one tensor.</summary>
    /// <exception cref="InvalidDataException">It does not describe the file.</exception>
    public static SafetensorsHeader Parse(string file, ReadOnlyMemory<byte> json, long dataLength)
    {
        var header = new SafetensorsHeader(file);
        try
        {
            using var document = JsonDocument.Parse(json);
            foreach (var property in document.RootElement.EnumerateObject())
                header.Add(property, dataLength);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException($"{file}: the header is not what safetensors prescribes ({e.Message}) Fetch the file again.", e);
        }
        header.CheckCoverage(dataLength);
        return header;
    }

    /// <summary>The header of tensors to be written, padded so that the data begins at a multiple of eight; and their order.</summary>
    public static (byte[] Json, IReadOnlyList<string> Order) Build(
        IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        // Widest type first, then by name: every tensor lies at a multiple of its element size, and equal contents give equal bytes.
        var ordered = tensors.Select(t => (t.Key, t.Value.shape, Type: Find(t.Key, t.Value.dtype)))
            .OrderByDescending(t => t.Type.Size).ThenBy(t => t.Key, StringComparer.Ordinal).ToList();
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(MetadataKey);
                foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            var offset = 0L;
            foreach (var (name, shape, type) in ordered)
            {
                var end = offset + (shape.Aggregate(1L, (a, b) => a * b) * type.Size);
                json.WriteStartObject(name);
                json.WriteString("dtype", type.Name);
                WriteNumbers(json, "shape", shape);
                WriteNumbers(json, "data_offsets", [offset, end]);
                json.WriteEndObject();
                offset = end;
            }
            json.WriteEndObject();
        }
        while (bytes.Length % 8 != 0)
            bytes.WriteByte((byte)' ');
        return (bytes.ToArray(), [.. ordered.Select(t => t.Key)]);
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static (string Name, ScalarType Type, int Size) Find(string tensor, ScalarType type)
    {
        var found = Types.FirstOrDefault(t => t.Type == type);
        return found.Name is null
            ? throw new ArgumentException($"Tensor '{tensor}' holds {type}, which safetensors files of ours do not.")
            : found;
    }

    private void Add(JsonProperty property, long dataLength)
    {
        if (property.Name == MetadataKey)
        {
            foreach (var pair in property.Value.EnumerateObject())
                Metadata[pair.Name] = pair.Value.GetString() ?? throw new FormatException("metadata must be strings.");
            return;
        }
        InvalidDataException Wrong(string what) => new($"{_file}: tensor '{property.Name}' {what}");
        var typeName = property.Value.TryGetProperty("dtype", out var dtype) ? dtype.GetString() : null;
        var type = Types.FirstOrDefault(t => t.Name == typeName);
        if (type.Name is null)
            throw Wrong($"has the type '{typeName}'; known are {string.Join(", ", Types.Select(t => t.Name))}. Convert the file to one.");
        if (!property.Value.TryGetProperty("shape", out var shapeJson)
            || !property.Value.TryGetProperty("data_offsets", out var offsetsJson))
            throw Wrong("lacks shape or data_offsets. Fetch the file again.");
        long[] shape = [.. shapeJson.EnumerateArray().Select(e => e.GetInt64())];
        long[] offsets = [.. offsetsJson.EnumerateArray().Select(e => e.GetInt64())];
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0])
            throw Wrong($"has the offsets [{string.Join(", ", offsets)}]. Fetch the file again.");
        if (offsets[1] > dataLength)
            throw Wrong($"ends at byte {offsets[1]} of the data, of which there are {dataLength}: the file is cut off. Fetch it again.");
        if (shape.Any(size => size < 0) || Size(shape, type.Size) != offsets[1] - offsets[0])
            throw Wrong(string.Create(CultureInfo.InvariantCulture,
                $"of shape [{string.Join(", ", shape)}] and type {type.Name} cannot fill {offsets[1] - offsets[0]} bytes. ")
                + "Fetch the file again.");
        if (!Entries.TryAdd(property.Name, new SafetensorsEntry(type.Type, shape, offsets[0], offsets[1] - offsets[0])))
            throw Wrong("is listed twice. Fetch the file again.");
    }

    private static Int128 Size(long[] shape, int elementSize)
    {
        // Stop before even 128 bits overflow: no file is that long.
        Int128 size = elementSize;
        foreach (var dimension in shape)
            size = size > long.MaxValue ? size : size * dimension;
        return shape.Contains(0) ? 0 : size;
    }

    private void CheckCoverage(long dataLength)
    {
        var position = 0L;
        string? previous = null;
        foreach (var (name, entry) in Entries.OrderBy(e => e.Value.Offset).ThenBy(e => e.Value.Length))
        {
            if (entry.Offset != position)
                throw new InvalidDataException(entry.Offset < position
                    ? $"{_file}: tensors '{previous}' and '{name}' overlap. Fetch the file again."
                    : $"{_file}: bytes {position} to {entry.Offset} before tensor '{name}' belong to no tensor. Fetch the file again.");
            position += entry.Length;
            previous = name;
        }
        if (position != dataLength)
            throw new InvalidDataException(
                $"{_file}: {dataLength - position} bytes after the last tensor belong to none. Fetch the file again.");
    }
}
