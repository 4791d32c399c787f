using System.Runtime.InteropServices;

namespace RlhfFunctions.Ml.Decoding;

/// <summary>
/// Keys and values of one sequence, of every layer and head. Keys lie in blocks of 16 positions, one number of all 16 beside the next,
/// so that 16 scores are computed without a sum across lanes; values lie position by position, padded to whole registers.
/// </summary>
internal sealed unsafe class SequenceCache : IDisposable
{
    /// <summary>Positions whose keys lie together.</summary>
    public const int Block = 16;

    private readonly int _heads;
    private readonly int _headSize;
    private readonly int _paddedSize;
    private readonly int _blocks;
    private readonly float* _numbers;

    /// <param name="layers">Of the model.</param>
    /// <param name="heads">Of keys and values.</param>
    /// <param name="headSize">D.</param>
    /// <param name="capacity">Positions that fit.</param>
    public SequenceCache(int layers, int heads, int headSize, int capacity)
    {
        (_heads, _headSize, _paddedSize) = (heads, headSize, (headSize + Block - 1) / Block * Block);
        _blocks = (capacity + Block - 1) / Block;
        Capacity = _blocks * Block;
        _numbers = (float*)NativeMemory.AlignedAlloc((nuint)(layers * heads * HeadLength * sizeof(float)), 64);
    }

    public int Capacity { get; }

    /// <summary>Positions written.</summary>
    public int Length { get; set; }

    private long HeadLength => (long)_blocks * Block * (_headSize + _paddedSize);

    /// <summary>[blocks, D, 16]</summary>
    public float* Keys(int layer, int head) => _numbers + (((layer * (long)_heads) + head) * HeadLength);

    /// <summary>[positions, padded D]</summary>
    public float* Values(int layer, int head) => Keys(layer, head) + ((long)_blocks * Block * _headSize);

    /// <summary>Writes what one head of a layer has for a position.</summary>
    public void Write(int layer, int head, int position, float* key, float* value)
    {
        var keys = Keys(layer, head) + ((long)(position / Block) * _headSize * Block) + (position % Block);
        for (var d = 0; d < _headSize; d++)
            keys[d * Block] = key[d];
        var values = new Span<float>(Values(layer, head) + ((long)position * _paddedSize), _paddedSize);
        new ReadOnlySpan<float>(value, _headSize).CopyTo(values);
        values[_headSize..].Clear();
    }

    /// <summary>Takes over the first positions of another sequence of the same model.</summary>
    public void CopyFrom(SequenceCache other, int layers, int length)
    {
        Length = length; // what is copied behind it, to a block's end, is overwritten before it counts
        var keys = (long)(Length + Block - 1) / Block * Block * _headSize;
        for (var layer = 0; layer < layers; layer++)
            for (var head = 0; head < _heads; head++)
            {
                Copy(other.Keys(layer, head), Keys(layer, head), keys);
                Copy(other.Values(layer, head), Values(layer, head), (long)Length * _paddedSize);
            }
    }

    public void Dispose() => NativeMemory.AlignedFree(_numbers);

    private static void Copy(float* from, float* to, long count) =>
        Buffer.MemoryCopy(from, to, count * sizeof(float), count * sizeof(float));
}
