namespace RlhfFunctions.Ml.Learning;

/// <summary>What one step of the optimizer learns from: mini-batches of units, and a unit's rows.</summary>
internal sealed record OptimizerRows(int[][][] MiniBatches)
{
    /// <summary>Units in order, cut into steps of the optimizer.</summary>
    public static OptimizerRows[] Cut(int[][] units, int miniBatchSize, int miniBatches) =>
        [.. units.Chunk(miniBatchSize * miniBatches).Select(step => new OptimizerRows([.. step.Chunk(miniBatchSize)]))];

    /// <summary>The rows of a mini-batch.</summary>
    public int[] Rows(int miniBatch) => Flat(MiniBatches[miniBatch]);

    /// <summary>What a mini-batch's loss is a share of.</summary>
    public WholeStep Whole(long[] tokens) => new(
        MiniBatches.Sum(units => units.Length), MiniBatches.Sum(units => Flat(units).Sum(row => tokens[row])), MiniBatches.Length);

    /// <summary>
    /// The part of one of several shards: as many units as the others have or one more, one behind the other; with the mini-batches
    /// they stand in, and how many rows those have above them.
    /// </summary>
    public IEnumerable<(int MiniBatch, int Above, int[][] Units)> Part(int shard, int shards)
    {
        var units = MiniBatches.Sum(batch => batch.Length);
        var (start, end) = ((int)((long)units * shard / shards), (int)((long)units * (shard + 1) / shards));
        for (var (i, first) = (0, 0); i < MiniBatches.Length; first += MiniBatches[i++].Length)
        {
            var batch = MiniBatches[i];
            var (from, to) = (Math.Clamp(start - first, 0, batch.Length), Math.Clamp(end - first, 0, batch.Length));
            if (from < to)
                yield return (i, Flat(batch[..from]).Length, batch[from..to]);
        }
    }

    private static int[] Flat(int[][] units) => [.. units.SelectMany(unit => unit)];
}
