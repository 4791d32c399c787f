using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>How the frozen base weights are held in memory.</summary>
public enum ModelPrecision
{
    Float32,

    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,

    Float16,

    /// <summary>4-bit normal float, as bitsandbytes packs it.</summary>
    Nf4,
}
