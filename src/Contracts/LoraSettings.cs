using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>The low-rank adapter that is trained; the names are PEFT's.</summary>
public sealed record LoraSettings
{
    /// <summary>Rank r of the update B·A.</summary>
    [Range(1, 1024)]
    public int Rank { get; init; } = 16;

    /// <summary>Numerator of the scaling α/r (α/√r when <see cref="RankStabilized"/>).</summary>
    [Range(0.0, 100_000.0)]
    public double Alpha { get; init; } = 16;

    /// <summary>
    /// Dropout on the adapter branch's input, noted in the adapter's configuration for those who train it further. PPO never
    /// uses it: as in TRL, the probabilities that are trained are those that were sampled from.
    /// </summary>
    [Range(0.0, 0.99)]
    public double Dropout { get; init; }

    /// <summary>Last component of the names of the linear layers that get an adapter.</summary>
    [MinLength(1)]
    [MaxLength(1000)]
    public IReadOnlyList<string> TargetModules { get; init; } = ["q_proj", "v_proj"];

    /// <summary>Scale by α/√r instead of α/r (PEFT's use_rslora).</summary>
    public bool RankStabilized { get; init; }
}
