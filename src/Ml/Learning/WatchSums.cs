using System.Text.Json.Serialization;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Learning;

/// <summary>Sums over the samples of some steps, from which all is told that the watch looks at; those of other steps may be added.</summary>
public sealed record WatchSums
{
    public int Steps { get; init; }

    public int Samples { get; init; }

    /// <summary>Σ score, Σ score².</summary>
    public double Score { get; init; }

    /// <inheritdoc cref="Score"/>
    public double ScoreSquares { get; init; }

    /// <summary>Σ tokens, Σ tokens², Σ score · tokens.</summary>
    public double Length { get; init; }

    /// <inheritdoc cref="Length"/>
    public double LengthSquares { get; init; }

    /// <inheritdoc cref="Length"/>
    public double ScoreLength { get; init; }

    /// <summary>Σ p and Σ p² of the outside judge's probability of what is not wanted; null: there is no judge.</summary>
    public double? Undesired { get; init; }

    /// <inheritdoc cref="Undesired"/>
    public double? UndesiredSquares { get; init; }

    /// <summary>Σ over steps of the distinct-2 of a step's responses.</summary>
    public double Distinct { get; init; }

    /// <summary>Σ log π_ref of all tokens; null: the reference was not asked.</summary>
    public double? ReferenceLogProb { get; init; }

    /// <summary>Σ standard deviation of what an ensemble's members say of a response; null: the reward has none.</summary>
    public double? Disagreement { get; init; }

    [JsonIgnore]
    public double MeanScore => Score / Samples;

    [JsonIgnore]
    public double ScoreVariance => Variance(Score, ScoreSquares);

    /// <summary>Tokens.</summary>
    [JsonIgnore]
    public double MeanLength => Length / Samples;

    /// <summary>Slope of the scores over the lengths; 0 where all are equally long.</summary>
    [JsonIgnore]
    public double ScorePerToken => Variance(Length, LengthSquares) is > 1e-9 and var variance
        ? ((ScoreLength / Samples) - (MeanScore * MeanLength)) / variance
        : 0;

    /// <summary>From 0 to 1; null: there is no judge.</summary>
    [JsonIgnore]
    public double? MeanUndesired => Undesired / Samples;

    /// <inheritdoc cref="MeanUndesired"/>
    [JsonIgnore]
    public double? UndesiredVariance => Undesired is { } sum ? Variance(sum, UndesiredSquares!.Value) : null;

    /// <summary>Distinct-2 of a step's responses, mean over the steps.</summary>
    [JsonIgnore]
    public double DistinctBigrams => Distinct / Steps;

    /// <summary>exp(−mean log π_ref of a token); null: the reference was not asked.</summary>
    [JsonIgnore]
    public double? ReferencePerplexity => ReferenceLogProb is { } sum ? Math.Exp(-sum / Length) : null;

    /// <summary>In the reward's unit; null: it has no ensemble.</summary>
    [JsonIgnore]
    public double? MeanDisagreement => Disagreement / Samples;

    /// <summary>The sums of one step.</summary>
    /// <param name="samples">What the policy said, at least one.</param>
    /// <param name="undesired">The judge's probability of what is not wanted, of each; null: there is no judge.</param>
    public static WatchSums Of(IReadOnlyList<RolloutSample> samples, IReadOnlyList<double>? undesired) => new()
    {
        Steps = 1,
        Samples = samples.Count,
        Score = samples.Sum(sample => (double)sample.Score),
        ScoreSquares = samples.Sum(sample => (double)sample.Score * sample.Score),
        Length = samples.Sum(sample => (double)sample.Response.Length),
        LengthSquares = samples.Sum(sample => (double)sample.Response.Length * sample.Response.Length),
        ScoreLength = samples.Sum(sample => (double)sample.Score * sample.Response.Length),
        Undesired = undesired?.Sum(),
        UndesiredSquares = undesired?.Sum(p => p * p),
        Distinct = TextDiversity.DistinctNGrams(samples.Select(sample => sample.Text), 2),
        ReferenceLogProb = samples.All(sample => sample.ReferenceLogProbs.Length > 0) ? samples.Sum(sample => sample.ReferenceLogProbs.Sum(p => (double)p)) : null,
        Disagreement = samples.All(sample => sample.Disagreement is not null) ? samples.Sum(sample => (double)sample.Disagreement!) : null,
    };

    /// <summary>The sums of both.</summary>
    public static WatchSums operator +(WatchSums a, WatchSums b) => new()
    {
        Steps = a.Steps + b.Steps,
        Samples = a.Samples + b.Samples,
        Score = a.Score + b.Score,
        ScoreSquares = a.ScoreSquares + b.ScoreSquares,
        Length = a.Length + b.Length,
        LengthSquares = a.LengthSquares + b.LengthSquares,
        ScoreLength = a.ScoreLength + b.ScoreLength,
        Undesired = a.Undesired + b.Undesired,
        UndesiredSquares = a.UndesiredSquares + b.UndesiredSquares,
        Distinct = a.Distinct + b.Distinct,
        ReferenceLogProb = a.ReferenceLogProb + b.ReferenceLogProb,
        Disagreement = a.Disagreement + b.Disagreement,
    };

    private double Variance(double sum, double squares) => Math.Max(0, (squares / Samples) - (sum / Samples * (sum / Samples)));
}
