using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Decoding;

/// <summary>One block of a Llama.</summary>
/// <param name="block">What it computes with.</param>
/// <param name="isExact">See <see cref="FusedLinear"/>.</param>
/// <param name="keep">Copies the factors of a norm to float32 and tells where they stand.</param>
internal sealed unsafe class FusedLayer(LlamaBlock block, bool isExact, Func<Tensor, nint> keep) : IDisposable
{
    public float* AttentionNorm { get; } = (float*)keep(block.AttentionNorm);

    public float* MlpNorm { get; } = (float*)keep(block.MlpNorm);

    /// <summary>[D]; null: queries are turned as they are.</summary>
    public float* QueryNorm { get; } = block.QueryNorm is null ? null : (float*)keep(block.QueryNorm);

    /// <summary>[D]; null: keys are turned as they are.</summary>
    public float* KeyNorm { get; } = block.KeyNorm is null ? null : (float*)keep(block.KeyNorm);

    public FusedLinear Query { get; } = new(block.Query, isExact);

    public FusedLinear Key { get; } = new(block.Key, isExact);

    public FusedLinear Value { get; } = new(block.Value, isExact);

    public FusedLinear Output { get; } = new(block.Output, isExact);

    public FusedLinear Gate { get; } = new(block.Gate, isExact);

    public FusedLinear Up { get; } = new(block.Up, isExact);

    public FusedLinear Down { get; } = new(block.Down, isExact);

    public int LargestRank => All.Max(linear => linear.Rank);

    private FusedLinear[] All => [Query, Key, Value, Output, Gate, Up, Down];

    public void Dispose()
    {
        foreach (var linear in All)
            linear.Dispose();
    }
}
