using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>ROUGE's F measure against the reference, from 0 to 1.</summary>
public sealed class RougeReward(RougeVariant variant) : ITextReward
{
    /// <exception cref="ArgumentException">A response has no reference.</exception>
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(item => new TextScore((float)Measure(Rouge.Score(
            item.Reference ?? throw new ArgumentException("A response has no reference that ROUGE could compare it with.", nameof(responses)), item.Response))))];

    private double Measure(RougeScores scores) => variant switch
    {
        RougeVariant.Rouge1 => scores.Rouge1.FMeasure,
        RougeVariant.Rouge2 => scores.Rouge2.FMeasure,
        RougeVariant.RougeL => scores.RougeL.FMeasure,
        _ => throw new NotSupportedException($"{variant} is not known."),
    };
}
