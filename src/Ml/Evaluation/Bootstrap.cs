using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Evaluation;

/// <summary>
/// How sure a mean over dialogues is: the percentile bootstrap (Efron 1979). Whole dialogues are drawn again, since samples of one
/// dialogue resemble each other and don't count as independent.
/// </summary>
public static class Bootstrap
{
    /// <summary>Mean, spread and 95 % interval of one number per dialogue.</summary>
    /// <param name="perDialogue">The metric's mean for each dialogue, in its own unit.</param>
    /// <param name="seed">The same seed and numbers give the same interval.</param>
    /// <param name="resamples">How many data sets of the same size are drawn with replacement.</param>
    /// <exception cref="ArgumentException">There are no numbers, or one is not finite.</exception>
    public static MetricSummary Summarize(ReadOnlySpan<double> perDialogue, ulong seed, int resamples = 2000)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(resamples, 1);
        if (perDialogue.IsEmpty)
            throw new ArgumentException("There is nothing to summarize: no dialogue was evaluated.", nameof(perDialogue));
        var count = perDialogue.Length;
        var sum = 0.0;
        for (var i = 0; i < count; i++)
        {
            if (!double.IsFinite(perDialogue[i]))
                throw new ArgumentException($"The number of dialogue {i} (counted from 0) is {perDialogue[i]}: find out what made it so.", nameof(perDialogue));
            sum += perDialogue[i];
        }
        var mean = sum / count;
        var squares = 0.0;
        foreach (var value in perDialogue)
            squares += (value - mean) * (value - mean);

        var means = new double[resamples];
        for (var i = 0; i < resamples; i++)
        {
            var drawn = 0.0;
            for (var j = 0; j < count; j++)
                drawn += perDialogue[(int)(Seeds.Uniform(seed, ((long)i * count) + j) * count)];
            means[i] = drawn / count;
        }
        Array.Sort(means);
        return new(mean, count > 1 ? Math.Sqrt(squares / (count - 1)) : 0, Quantile(means, 0.025), Quantile(means, 0.975), count);
    }

    /// <summary>
    /// The mean of all numbers and its 95 % interval, where those of a cluster resemble each other: whole clusters are drawn. The
    /// spread is that of single numbers.
    /// </summary>
    /// <param name="clusters">At least one, each with at least one finite number.</param>
    /// <param name="seed">The same seed and numbers give the same interval.</param>
    /// <param name="resamples">How many sets of as many clusters are drawn with replacement.</param>
    public static MetricSummary SummarizeClusters(IReadOnlyList<double[]> clusters, ulong seed, int resamples = 2000)
    {
        var all = clusters.SelectMany(values => values).ToArray();
        var mean = all.Average();
        var sums = clusters.Select(values => (Sum: values.Sum(), values.Length)).ToArray();
        var means = new double[resamples];
        for (var i = 0; i < resamples; i++)
        {
            var (sum, count) = (0.0, 0);
            for (var j = 0; j < sums.Length; j++)
            {
                var drawn = sums[(int)(Seeds.Uniform(seed, ((long)i * sums.Length) + j) * sums.Length)];
                (sum, count) = (sum + drawn.Sum, count + drawn.Length);
            }
            means[i] = sum / count;
        }
        Array.Sort(means);
        var spread = all.Length > 1 ? Math.Sqrt(all.Sum(value => (value - mean) * (value - mean)) / (all.Length - 1)) : 0;
        return new(mean, spread, Quantile(means, 0.025), Quantile(means, 0.975), all.Length);
    }

    internal static double Quantile(double[] sorted, double share)
    {
        var position = share * (sorted.Length - 1);
        var below = (int)position;
        var above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
    }
}
