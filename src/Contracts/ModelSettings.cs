using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>The base model: frozen, and with the adapter off also the reference.</summary>
public sealed record ModelSettings
{
    /// <summary>
    /// A Hugging Face folder (config.json, safetensors, tokenizer.json or tokenizer.model) or repository: <c>file:samples/models/llama</c>,
    /// <c>blob:models/tinyllama</c> or <c>hf:TinyLlama/TinyLlama-1.1B-Chat-v1.0</c>.
    /// </summary>
    [RegularExpression(Contracts.Source.Pattern, ErrorMessage = Contracts.Source.Rule)]
    public required string Source { get; init; }

    /// <summary>How the frozen weights are held in memory. Adapter and value head are always fp32.</summary>
    public ModelPrecision Precision { get; init; } = ModelPrecision.Float32;

    /// <summary>
    /// What "nf4" computes in on a CPU: "float32", or by itself "bfloat16", in which scoring and updating are several times faster.
    /// Adapter, value head, softmax and losses are fp32 in either.
    /// </summary>
    public ComputeType ComputeType { get; init; } = ComputeType.BFloat16;
}
