using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Evaluation;

/// <summary>Measures a policy on dialogues it was not trained on.</summary>
public static class EvaluationRunner
{
    /// <summary>Every sample of every dialogue, ordered by dialogue and sample.</summary>
    /// <param name="policy">With its adapter on, or off for the reference.</param>
    /// <param name="decode">Response ids → text without special tokens.</param>
    /// <param name="judge">A classifier other than the reward; null: there is none.</param>
    /// <param name="prompts">Token ids, one per dialogue.</param>
    /// <param name="references">The summaries to compare with, one per dialogue.</param>
    /// <param name="plan">Seed and sizes.</param>
    /// <param name="cancellationToken">Looked at before each token and each batch.</param>
    public static IReadOnlyList<EvaluatedSample> Run(
        TrainedPolicy policy, Func<IReadOnlyList<int>, string> decode, ITextReward? judge, IReadOnlyList<int[]> prompts,
        IReadOnlyList<string> references, EvaluationPlan plan, CancellationToken cancellationToken)
    {
        if (references.Count != prompts.Count)
            throw new ArgumentException($"{prompts.Count} prompts, but {references.Count} references.");
        var endOfText = BatchGenerator.EndOfText(policy.Model, plan.Generation);
        var places = from dialogue in Enumerable.Range(0, prompts.Count)
                     from sample in Enumerable.Range(0, plan.SamplesPerDialogue)
                     select (Dialogue: dialogue, Sample: sample);
        var evaluated = new List<EvaluatedSample>();
        foreach (var batch in places.Chunk(plan.BatchSize))
        {
            // 1. responses, and their distance from the reference policy, which is none with the adapter off
            var queries = Array.ConvertAll(batch, place => prompts[place.Dialogue]);
            var keys = Array.ConvertAll(batch, place => Seeds.Derive(plan.Seed, "evaluation", place.Dialogue, place.Sample));
            var responses = policy.Adapter.Enabled
                ? RolloutCollector.Answer(policy, queries, keys, null, plan.Generation, KlPenalty.Kl, plan.BatchSize, cancellationToken)
                    .Select(answer => (Ids: answer.Response, Kl: answer.KlPenalties.Sum(d => (double)d))).ToArray()
                : [.. BatchGenerator.Sample(policy.Model, queries, keys, plan.Generation, cancellationToken).Select(ids => (ids, 0.0))];

            // 2. the judge's view and the likeness to the reference summary
            var texts = Array.ConvertAll(responses, response => decode(response.Ids));
            var judged = judge?.Score(Array.ConvertAll(texts, PromptedResponse.Alone), cancellationToken);
            evaluated.AddRange(batch.Select((place, i) => new EvaluatedSample(
                place.Dialogue, place.Sample, texts[i],
                judged is null ? null : judged[i].LabelProbability ?? throw new ArgumentException("The judge tells no probability of a label: it must be a classifier.", nameof(judge)),
                Rouge.Score(references[place.Dialogue], texts[i]).RougeL.FMeasure, responses[i].Ids.Length,
                endOfText.Contains(responses[i].Ids[^1]), responses[i].Kl)));
        }
        return evaluated;
    }
}
