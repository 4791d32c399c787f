using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>The type of a 4-bit model's hidden states on a CPU.</summary>
public enum ComputeType
{
    Float32,

    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,
}
