using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>Lets the policy answer prompts and notes all that the update needs to know.</summary>
public static class RolloutCollector
{
    /// <summary>One sample per prompt, in order.</summary>
    /// <param name="policy">The policy, adapter on.</param>
    /// <param name="decode">Token ids, and whether special ones are left out → text.</param>
    /// <param name="reward">Scores the texts.</param>
    /// <param name="prompts">Token ids.</param>
    /// <param name="plan">Seed, place in the run, sampling.</param>
    /// <param name="cancellationToken">Looked at before each token and each scoring batch.</param>
    public static IReadOnlyList<RolloutSample> Collect(
        PolicyWithValue policy, Func<IReadOnlyList<int>, bool, string> decode, ITextReward reward, IReadOnlyList<int[]> prompts, RolloutPlan plan,
        CancellationToken cancellationToken)
    {
        // 1. responses
        var keys = prompts.Select((_, i) => Seeds.Derive(plan.RunSeed, "rollout", plan.Step, plan.FirstSample + i)).ToArray();
        var limits = Array.ConvertAll(keys, key => Limit(key, plan.Generation));
        var responses = BatchGenerator.Sample(policy.Model, prompts, keys, plan.Generation, cancellationToken, limits: limits);

        // 2. scores of their texts
        var texts = prompts.Zip(responses, (prompt, response) =>
            new PromptedResponse(decode(prompt, false), decode(response, true), decode(response, false))).ToArray();
        var scores = reward.Score(texts, cancellationToken);
        var endOfText = BatchGenerator.EndOfText(policy.Model, plan.Generation);

        // 3. log-probabilities, values and penalties
        return [.. Score(policy, prompts, responses, plan.KlPenalty, plan.Generation.Temperature, plan.ScoringBatchSize, cancellationToken)
            .Select((sample, i) => sample with
            {
                Index = plan.FirstSample + i,
                Text = texts[i].Response,
                HasEnded = endOfText.Contains(sample.Response[^1]),
                Score = scores[i].Score,
                Terms = scores[i].Terms ?? [],
                HateProbability = scores[i].HateProbability,
            })];
    }

    /// <summary>Tokens after which a sample's response ends: MaxNewTokens, or uniform from MaxNewTokensLow to it.</summary>
    internal static int Limit(ulong sampleKey, GenerationSettings settings)
    {
        var low = settings.MaxNewTokensLow ?? settings.MaxNewTokens;
        return low + (int)(Seeds.Uniform(Seeds.Derive(sampleKey, "limit"), 0) * (settings.MaxNewTokens - low + 1));
    }

    /// <summary>What policy and reference say of given responses: samples without text, ending and score, numbered from 0.</summary>
    public static IReadOnlyList<RolloutSample> Score(
        PolicyWithValue policy, IReadOnlyList<int[]> prompts, IReadOnlyList<int[]> responses, KlPenalty kind, double temperature,
        int batchSize, CancellationToken cancellationToken)
    {
        using var evaluation = no_grad();
        var samples = new List<RolloutSample>();
        foreach (var rows in Enumerable.Range(0, prompts.Count).Chunk(batchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var sequences = SequenceBatch.Of([.. rows.Select(row => prompts[row])], [.. rows.Select(row => responses[row])], policy.Device);
            var scored = policy.Score(sequences, temperature);
            TokenScores reference;
            using (policy.WithAdapterDisabled())
                reference = policy.Score(sequences, temperature);
            var penalties = kind == KlPenalty.Full
                ? TokenKl.Exact(scored.LogDistribution, reference.LogDistribution)
                : TokenKl.Penalty(scored.LogProbs, reference.LogProbs, kind); // [b, R]

            var numbers = stack([scored.LogProbs, reference.LogProbs, scored.Values, penalties]).cpu(); // [4, b, R]
            for (var i = 0; i < rows.Length; i++)
            {
                var response = responses[rows[i]];
                samples.Add(new()
                {
                    Index = rows[i],
                    Query = prompts[rows[i]],
                    Response = response,
                    LogProbs = Numbers(0),
                    ReferenceLogProbs = Numbers(1),
                    Values = Numbers(2),
                    KlPenalties = Numbers(3),
                    Text = "",
                    HasEnded = false,
                    Score = 0,
                    Terms = [],
                    HateProbability = null,
                });

                float[] Numbers(int kind) => numbers[kind, i].narrow(0, 0, response.Length).data<float>().ToArray();
            }
        }
        return samples;
    }
}
