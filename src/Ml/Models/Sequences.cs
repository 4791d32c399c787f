using RlhfFunctions.Ml.Passes;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Sequences from position 0 on, padded on the right, that pass through a model's blocks.</summary>
/// <param name="Config">The model's sizes.</param>
/// <param name="Batch">B.</param>
/// <param name="Length">T.</param>
/// <param name="All">All positions. [B · T]</param>
/// <param name="Asked">Those that the last block is asked for. [B · R]</param>
/// <param name="AskedRows">Where they are among all. [B · R] int64</param>
internal sealed record Sequences(LlamaConfig Config, int Batch, int Length, Places All, Places Asked, Tensor AskedRows)
{
    /// <summary>Lays sequences out.</summary>
    /// <param name="rotary">Tells the rotations.</param>
    /// <param name="config">The model's sizes.</param>
    /// <param name="batch">B.</param>
    /// <param name="length">T.</param>
    /// <param name="places">In the flattened [B · T], as many of each row, row after row. [B · R] int64</param>
    public static Sequences Of(RotaryEmbedding rotary, LlamaConfig config, long batch, long length, Tensor places)
    {
        var (cosine, signedSine) = rotary.At(null, 0, length); // [1, T, 1, D] each
        var all = new Places(arange(length, ScalarType.Int32).repeat(batch), Flat(cosine), Flat(signedSine));
        var positions = places.remainder(length); // [B · R]
        var (askedCosine, askedSine) = rotary.At(positions.unsqueeze(0), 0, positions.shape[0]);
        return new(config, (int)batch, (int)length, all, new(positions.to(ScalarType.Int32), Flat(askedCosine), Flat(askedSine)), places);

        Tensor Flat(Tensor table) => table.reshape(-1, config.HeadSize);
    }

    /// <summary>What it is made of, for what must outlive the scope it was made in.</summary>
    public Tensor[] Tensors => [All.Positions, All.Cosine, All.SignedSine, Asked.Positions, Asked.Cosine, Asked.SignedSine, AskedRows];

    /// <summary>The same of tensors that outlived it.</summary>
    public Sequences Of(ReadOnlySpan<Tensor> tensors) => this with
    {
        All = new(tensors[0], tensors[1], tensors[2]),
        Asked = new(tensors[3], tensors[4], tensors[5]),
        AskedRows = tensors[6],
    };

    /// <summary>The sizes of a block's attention.</summary>
    public AttentionShape Shape(bool isAsked) => new(
        Batch, isAsked ? (int)AskedRows.shape[0] / Batch : Length, Length, Config.Heads, Config.KeyValueHeads, Config.HeadSize);
}
