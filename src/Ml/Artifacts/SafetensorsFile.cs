using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Artifacts;

/// <summary>
/// Named tensors as Hugging Face stores them: eight bytes header length, a JSON header, the numbers. Nothing in such a file is
/// executed, unlike in a pickle. A file on disk is read tensor by tensor, straight into the tensor's memory, so that loading
/// needs no more memory than what is loaded.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    // The reference implementation's limit.
    private const long MaxHeaderLength = 100_000_000;

    // The header's length.
    private const int PrefixLength = 8;

    // Small: between tensors that stay, what was used for a moment leaves a hole in the heap.
    private const int ChunkLength = 1 << 20;

    private readonly SafeFileHandle? _handle;
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly long _dataStart;
    private readonly SafetensorsHeader _header;

    private SafetensorsFile(string name, SafeFileHandle? handle, ReadOnlyMemory<byte> bytes)
    {
        (Name, _handle, _bytes) = (name, handle, bytes);
        var length = handle is null ? bytes.Length : RandomAccess.GetLength(handle);
        Span<byte> start = stackalloc byte[PrefixLength];
        if (length >= start.Length)
            Read(0, start);
        var json = new byte[HeaderLength(name, start, length)];
        Read(start.Length, json);
        _dataStart = start.Length + json.Length;
        _header = SafetensorsHeader.Parse(name, json, length - _dataStart);
    }

    /// <summary>Its path, or what errors call it.</summary>
    public string Name { get; }

    /// <summary>What the file holds, sorted by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => _header.Entries;

    /// <summary>The file's free-form strings, such as format = pt.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Opens a file on disk; tensors are read from it as they are asked for.</summary>
    /// <exception cref="InvalidDataException">The file is damaged, or a pickle.</exception>
    public static SafetensorsFile Open(string path)
    {
        if (Path.GetExtension(path) is ".bin" or ".pt" or ".pth" or ".pkl")
            throw PickleRefused(path);
        var handle = File.OpenHandle(path, options: FileOptions.RandomAccess);
        try
        {
            return new SafetensorsFile(path, handle, default);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Checks by a file's header that it is whole; nothing behind the header is read.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="content">The file from its start.</param>
    /// <param name="length">Bytes of the file.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="InvalidDataException">It is cut off, damaged, or no such file.</exception>
    public static async Task CheckAsync(string name, Stream content, long length, CancellationToken cancellation)
    {
        var start = new byte[PrefixLength];
        await content.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellation);
        var json = new byte[HeaderLength(name, start, length)];
        await content.ReadExactlyAsync(json, cancellation);
        SafetensorsHeader.Parse(name, json, length - start.Length - json.Length);
    }

    /// <summary>Reads a file that is in memory already.</summary>
    /// <param name="bytes">The whole file; not copied.</param>
    /// <param name="name">What errors call it.</param>
    public static SafetensorsFile Read(ReadOnlyMemory<byte> bytes, string name = "safetensors") => new(name, null, bytes);

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">At most 2 GB; larger files belong on disk.</param>
    /// <param name="name">What errors call it.</param>
    public static SafetensorsFile Read(Stream stream, string name = "safetensors")
    {
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return Read(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), name);
    }

    /// <summary>One tensor, on the CPU. The caller owns it.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="type">Of the result; null: the file's. It is converted piece by piece, so that it is never in memory twice.</param>
    /// <exception cref="KeyNotFoundException">The file has no tensor of that name.</exception>
    public Tensor Load(string name, ScalarType? type = null)
    {
        var entry = Entry(name);
        var tensor = empty([.. entry.Shape], type ?? entry.Type);
        using var flat = tensor.view(-1);
        Load(name, 0, flat);
        return tensor;
    }

    /// <summary>Some consecutive numbers of a tensor.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="start">The place of the first, counted row after row.</param>
    /// <param name="target">[n], on the CPU; filled with them, converted to its type piece by piece.</param>
    /// <exception cref="KeyNotFoundException">The file has no tensor of that name.</exception>
    public void Load(string name, long start, Tensor target)
    {
        using var scope = NewDisposeScope();
        var entry = Entry(name);
        var (count, elementSize) = (target.shape[0], entry.Type.ElementSize());
        ArgumentOutOfRangeException.ThrowIfGreaterThan((start + count) * elementSize, entry.Length, nameof(start));
        var step = Math.Min(count, ChunkLength / elementSize);
        var buffer = target.dtype == entry.Type ? null : empty(step, entry.Type);
        for (var done = 0L; done < count; done += step)
        {
            using var chunkScope = NewDisposeScope();
            var length = Math.Min(step, count - done);
            var part = target.narrow(0, done, length);
            var chunk = buffer?.narrow(0, 0, length) ?? part;
            Read(_dataStart + entry.Offset + ((start + done) * elementSize), chunk.bytes);
            if (buffer is not null)
                part.copy_(chunk);
        }
    }

    /// <summary>All tensors by name, on the CPU. The caller owns them.</summary>
    public Dictionary<string, Tensor> LoadAll() => Entries.Keys.ToDictionary(name => name, name => Load(name), StringComparer.Ordinal);

    /// <summary>Writes tensors; equal contents give equal bytes, whatever the dictionary's order.</summary>
    /// <param name="tensors">Of any shape, on any device.</param>
    /// <param name="metadata">Free-form strings; PyTorch's readers want format = pt (<see cref="PyTorchMetadata"/>).</param>
    public static byte[] Write(IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var stream = new MemoryStream();
        Write(stream, tensors, metadata);
        return stream.ToArray();
    }

    /// <summary>Writes tensors to a stream, the same bytes as the overload that returns them.</summary>
    public static void Write(
        Stream stream, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var (json, order) = SafetensorsHeader.Build(tensors.Select(t => new SafetensorsPlan(t.Key, t.Value.dtype, t.Value.shape)), metadata);
        WriteHeader(stream, json);
        foreach (var name in order)
            WriteNumbers(stream, tensors[name]);
    }

    /// <summary>The metadata with which PyTorch's readers recognise their own files.</summary>
    public static IReadOnlyDictionary<string, string> PyTorchMetadata { get; } = new Dictionary<string, string> { ["format"] = "pt" };

    public void Dispose() => _handle?.Dispose();

    internal static void WriteHeader(Stream stream, ReadOnlySpan<byte> json)
    {
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        stream.Write(length);
        stream.Write(json);
    }

    internal static void WriteNumbers(Stream stream, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var flat = tensor.cpu().contiguous().view(-1);
        var size = flat.shape[0];
        var step = ChunkLength / flat.element_size();
        for (var done = 0L; done < size; done += step)
            stream.Write(flat.narrow(0, done, Math.Min(step, size - done)).bytes);
    }

    internal static InvalidDataException PickleRefused(string name) => new(
        $"{name} is a PyTorch pickle, which runs code of its author's choice when it is read. It is refused: "
        + "convert it with safetensors' converter (huggingface.co/spaces/safetensors/convert) and use the .safetensors file.");

    private SafetensorsEntry Entry(string name) => _header.Entries.TryGetValue(name, out var entry)
        ? entry
        : throw new KeyNotFoundException($"{Name} holds no tensor '{name}'.");

    /// <summary>How long the header is, by the bytes before it.</summary>
    private static int HeaderLength(string name, ReadOnlySpan<byte> start, long length)
    {
        if (length < start.Length)
            throw new InvalidDataException($"{name}: {length} bytes are no safetensors file. Fetch it again.");
        RefusePickle(name, start);
        if (start.SequenceEqual("version "u8))
            throw new InvalidDataException(
                $"{name} is only a pointer of Git LFS, not the file itself: run 'git lfs pull' where it was cloned, or download the file.");
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (headerLength > MaxHeaderLength)
            throw new InvalidDataException(
                $"{name}: announces a header of {headerLength} bytes, more than the {MaxHeaderLength} allowed: "
                + "this is no safetensors file. Fetch it again.");
        if ((long)headerLength > length - start.Length)
            throw new InvalidDataException(
                $"{name}: the header of {headerLength} bytes goes past the end of the file ({length} bytes): "
                + "it is cut off. Fetch it again.");
        return (int)headerLength;
    }

    private static void RefusePickle(string name, ReadOnlySpan<byte> start)
    {
        // A zip archive (PyTorch 1.6 and later) or a bare pickle of protocol 2 to 5 (before). As a header length either would be absurd.
        if (start.StartsWith("PK\u0003\u0004"u8) || (start[0] == 0x80 && start[1] is >= 2 and <= 5 && start[7] != 0))
            throw PickleRefused(name);
    }

    private void Read(long position, Span<byte> target)
    {
        if (_handle is null)
        {
            _bytes.Span.Slice((int)position, target.Length).CopyTo(target);
            return;
        }
        while (!target.IsEmpty)
        {
            var count = RandomAccess.Read(_handle, target, position);
            if (count == 0)
                throw new InvalidDataException($"{Name}: the file became shorter while it was read. Fetch it again.");
            target = target[count..];
            position += count;
        }
    }
}
