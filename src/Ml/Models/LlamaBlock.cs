using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>What one block of a Llama computes with.</summary>
/// <param name="AttentionNorm">[H]</param>
/// <param name="Query">H → heads · D</param>
/// <param name="Key">H → KV heads · D</param>
/// <param name="Value">H → KV heads · D</param>
/// <param name="Output">heads · D → H</param>
/// <param name="QueryNorm">[D], before queries are turned; null: none.</param>
/// <param name="KeyNorm">[D], before keys are turned; null: none.</param>
/// <param name="MlpNorm">[H]</param>
/// <param name="Gate">H → I</param>
/// <param name="Up">H → I</param>
/// <param name="Down">I → H</param>
internal sealed record LlamaBlock(
    Tensor AttentionNorm, LinearLayer Query, LinearLayer Key, LinearLayer Value, LinearLayer Output,
    Tensor? QueryNorm, Tensor? KeyNorm,
    Tensor MlpNorm, LinearLayer Gate, LinearLayer Up, LinearLayer Down)
{
    public LinearLayer[] Projections => [Query, Key, Value, Output, Gate, Up, Down];
}
