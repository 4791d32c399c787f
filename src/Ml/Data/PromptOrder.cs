using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Data;

/// <summary>
/// Which rows each step trains on: every epoch visits the rows in a shuffled order of its own, without replacement. The order is a pure
/// function of the seed, so that a run that goes on after a crash needs no cursor.
/// </summary>
public static class PromptOrder
{
    /// <summary>The rows of one step.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="datasetSize">How many rows there are.</param>
    /// <param name="batchSize">How many rows a step takes. The rows left over at an epoch's end sit out that epoch.</param>
    /// <param name="step">The step, counted from 0.</param>
    /// <returns><paramref name="batchSize"/> different row indices, each from 0 to <paramref name="datasetSize"/> − 1.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The batch is empty or larger than the data set, or the step is negative.</exception>
    public static IReadOnlyList<int> Batch(ulong seed, int datasetSize, int batchSize, int step)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        if (batchSize > datasetSize)
            throw new ArgumentOutOfRangeException(
                nameof(batchSize), $"A batch of {batchSize} cannot be drawn from {datasetSize} rows: use a smaller batch or select more rows.");
        var (epoch, batch) = Math.DivRem(step, datasetSize / batchSize);
        return Seeds.Permutation(Seeds.Derive(seed, "prompts", epoch), datasetSize).AsSpan(batch * batchSize, batchSize).ToArray();
    }
}
