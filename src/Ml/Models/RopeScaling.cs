namespace RlhfFunctions.Ml.Models;

/// <summary>How rotary frequencies are stretched to a longer context than the model was first trained on.</summary>
public sealed record RopeScaling
{
    /// <summary>All frequencies are divided by this (linear), or the low ones (Llama 3).</summary>
    public required double Factor { get; init; }

    /// <summary>Null: linear.</summary>
    public Llama3Bands? Bands { get; init; }

    /// <summary>
    /// Llama 3's rule: wavelengths up to the original context over <paramref name="HighFrequencyFactor"/> stay, those over the
    /// original context over <paramref name="LowFrequencyFactor"/> are stretched in full, in between it goes over smoothly.
    /// </summary>
    public sealed record Llama3Bands(double LowFrequencyFactor, double HighFrequencyFactor, int OriginalContextLength);
}
