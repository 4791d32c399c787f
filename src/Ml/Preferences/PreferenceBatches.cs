using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>The order in which comparisons are learnt from.</summary>
public static class PreferenceBatches
{
    /// <summary>
    /// Batches of all epochs. Comparisons of one prompt stand in one batch, however many they are: spread over several they would be
    /// seen several times in an epoch, and learnt by heart (InstructGPT, arXiv:2203.02155, §3.5).
    /// </summary>
    public static IReadOnlyList<Comparison[]> Of(IReadOnlyList<Comparison> comparisons, RewardTrainingSettings settings, ulong seed)
    {
        var prompts = comparisons.GroupBy(c => c.PromptId).Select(group => group.ToArray()).ToArray();
        var batches = new List<Comparison[]>();
        for (var epoch = 0; epoch < settings.Epochs; epoch++)
        {
            var batch = new List<Comparison>();
            foreach (var place in Seeds.Permutation(Seeds.Derive(seed, "reward order", epoch), prompts.Length))
            {
                if (batch.Count > 0 && batch.Count + prompts[place].Length > settings.BatchSize)
                    Close(batch);
                batch.AddRange(prompts[place]);
            }
            Close(batch);
        }
        return batches;

        void Close(List<Comparison> batch)
        {
            batches.Add([.. batch]);
            batch.Clear();
        }
    }

    /// <summary>Which part each comparison is judged in; prompts are dealt out, so that no part knows another's.</summary>
    /// <param name="promptIds">One per comparison.</param>
    /// <param name="folds">At least 2, and at most as many as there are prompts.</param>
    /// <param name="seed">Decides who goes where.</param>
    /// <exception cref="ArgumentException">There are fewer prompts than folds.</exception>
    public static int[] Folds(IReadOnlyList<string> promptIds, int folds, ulong seed)
    {
        var prompts = promptIds.Distinct().ToArray();
        if (prompts.Length < folds)
            throw new ArgumentException($"{prompts.Length} prompts cannot be dealt into {folds} parts: collect votes on more of them.");
        var order = Seeds.Permutation(Seeds.Derive(seed, "reward folds"), prompts.Length);
        var fold = order.Select((place, rank) => (Prompt: prompts[place], Fold: rank % folds)).ToDictionary(x => x.Prompt, x => x.Fold);
        return [.. promptIds.Select(id => fold[id])];
    }
}
