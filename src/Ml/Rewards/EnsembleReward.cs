using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>What several rewards say together; the judged label's probability is the mean of those that tell one.</summary>
/// <param name="members">At least two.</param>
/// <param name="combine">How their values become one.</param>
/// <param name="deviations">k, where the deviation is taken off.</param>
public sealed class EnsembleReward(IReadOnlyList<ITextReward> members, EnsembleValue combine, double deviations) : ITextReward
{
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
    {
        var scores = members.Select(member => member.Score(responses, cancellationToken)).ToArray();
        return [.. responses.Select((_, i) =>
        {
            var values = Array.ConvertAll(scores, member => (double)member[i].Score);
            var deviation = Deviation(values);
            return new TextScore((float)Combined(values, deviation), scores.Select(member => member[i].LabelProbability).Average(), Disagreement: (float)deviation);
        })];
    }

    private static double Deviation(double[] values)
    {
        var mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1));
    }

    private double Combined(double[] values, double deviation)
    {
        var mean = values.Average();
        return combine switch
        {
            EnsembleValue.Mean => mean,
            EnsembleValue.Minimum => values.Min(),
            EnsembleValue.MeanLessDeviation => mean - (deviations * deviation),
            _ => throw new NotSupportedException($"{combine} is not known."),
        };
    }
}
