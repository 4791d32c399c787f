using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>A step's rollouts as right-padded matrices [B, R]; the tensors belong to the dispose scope they were made in.</summary>
public sealed record RolloutTensors
{
    /// <summary>log π_old.</summary>
    public required Tensor LogProbs { get; init; }

    /// <summary>log π_ref.</summary>
    public required Tensor ReferenceLogProbs { get; init; }

    /// <summary>V_old.</summary>
    public required Tensor Values { get; init; }

    /// <summary>Penalties without their coefficient.</summary>
    public required Tensor KlPenalties { get; init; }

    /// <summary>True where a response has a token.</summary>
    public required Tensor IsResponseToken { get; init; }

    /// <summary>Pads with zeros.</summary>
    public static RolloutTensors Of(IReadOnlyList<RolloutSample> samples, Device device)
    {
        var (rows, length) = (samples.Count, samples.Max(sample => sample.Response.Length));
        return new()
        {
            LogProbs = Pad(sample => sample.LogProbs),
            ReferenceLogProbs = Pad(sample => sample.ReferenceLogProbs),
            Values = Pad(sample => sample.Values),
            KlPenalties = Pad(sample => sample.KlPenalties),
            IsResponseToken = Pad(sample => Array.ConvertAll(sample.Response, _ => 1f)).gt(0),
        };

        Tensor Pad(Func<RolloutSample, float[]> entries)
        {
            var cells = new float[rows * length];
            for (var row = 0; row < rows; row++)
                entries(samples[row]).CopyTo(cells, row * length);
            return tensor(cells, rows, length, device: device); // [B, R]
        }
    }
}
