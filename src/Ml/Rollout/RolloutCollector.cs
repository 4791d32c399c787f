using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>Lets the policy answer prompts and notes all that the update needs to know.</summary>
public static class RolloutCollector
{
    // That a thread scores at a time: a block's widest states of more of them are gigabytes.
    private const int TokensAtATime = 1 << 14;

    /// <summary>One sample per prompt, in order.</summary>
    /// <param name="policy">The policy, adapter on.</param>
    /// <param name="decode">Token ids, and whether special ones are left out → text.</param>
    /// <param name="reward">Scores the texts.</param>
    /// <param name="prompts">Token ids.</param>
    /// <param name="plan">Seed, place in the run, sampling.</param>
    /// <param name="cancellationToken">Looked at before each token and each scoring batch.</param>
    /// <param name="references">What humans answered, one per prompt; null where that is not known.</param>
    public static IReadOnlyList<RolloutSample> Collect(
        TrainedPolicy policy, Func<IReadOnlyList<int>, bool, string> decode, ITextReward reward, IReadOnlyList<int[]> prompts, RolloutPlan plan,
        CancellationToken cancellationToken, IReadOnlyList<string>? references = null)
    {
        // 1. responses, their log-probabilities, values and penalties
        var keys = prompts.Select((_, i) => Seeds.Derive(plan.RunSeed, "rollout", plan.Step, plan.FirstSample + i)).ToArray();
        var limits = Array.ConvertAll(keys, key => Limit(key, plan.Generation));
        var answers = Answer(
            policy, prompts, keys, limits, plan.Generation, plan.KlPenalty, plan.ScoringBatchSize, cancellationToken);

        // 2. scores of their texts
        var texts = answers.Select((answer, i) => new PromptedResponse(
            decode(answer.Query, false), decode(answer.Response, true), decode(answer.Response, false), references?[i])).ToArray();
        var scores = reward.Score(texts, cancellationToken);
        var endOfText = BatchGenerator.EndOfText(policy.Model, plan.Generation);

        return [.. answers
            .Select((sample, i) => sample with
            {
                Index = plan.FirstSample + i,
                Text = texts[i].Response,
                HasEnded = endOfText.Contains(sample.Response[^1]),
                Score = scores[i].Score,
                Terms = scores[i].Terms ?? [],
                LabelProbability = scores[i].LabelProbability,
                Disagreement = scores[i].Disagreement,
            })];
    }

    /// <summary>Tokens after which a sample's response ends: MaxNewTokens, or uniform from MaxNewTokensLow to it.</summary>
    internal static int Limit(ulong sampleKey, GenerationSettings settings)
    {
        var low = settings.MaxNewTokensLow ?? settings.MaxNewTokens;
        return low + (int)(Seeds.Uniform(Seeds.Derive(sampleKey, "limit"), 0) * (settings.MaxNewTokens - low + 1));
    }

    /// <summary>
    /// Responses and what policy and reference say of them: samples without text, ending and score, numbered from 0. On a CPU what the
    /// policy says is noted while it samples, by the loops that the reference is then asked with; the update computes the same
    /// numbers up to the rounding of float32. Where it does not, they are scored by the update's own operations.
    /// </summary>
    internal static IReadOnlyList<RolloutSample> Answer(
        TrainedPolicy policy, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong> keys, IReadOnlyList<int>? limits,
        GenerationSettings generation, KlPenalty? kind, int scoringBatchSize, CancellationToken cancellationToken)
    {
        var job = BatchGenerator.Job(policy.Model, prompts, keys, generation) with { Limits = limits, ValueHead = policy.ValueHead };
        var noted = BatchGenerator.Run(policy.Model, job, cancellationToken);
        int[][] responses = [.. noted.Select(response => response.Ids.ToArray())];
        if (kind == KlPenalty.Full || policy.Model.ComputeType != ScalarType.Float32 || noted[0].LogProbs.Count == 0)
            return Score(policy, prompts, responses, kind, generation.Temperature, scoringBatchSize, cancellationToken);
        if (kind is not { } penalty)
            return [.. noted.Select((response, i) => Sample(i, prompts[i], responses[i], [.. response.LogProbs], [], [.. response.Values], []))];
        using var reference = policy.WithAdapterDisabled();
        var referenceLogProbs = FusedGeneration.LogProbs(policy.Model, prompts, responses, generation.Temperature, cancellationToken);
        return [.. noted.Select((response, i) => Sample(
            i, prompts[i], responses[i], [.. response.LogProbs], referenceLogProbs[i], [.. response.Values],
            [.. response.LogProbs.Zip(referenceLogProbs[i], (own, theirs) => TokenKl.Penalty(own - theirs, penalty))]))];
    }

    /// <summary>What policy and reference say of given responses: samples without text, ending and score, numbered from 0.</summary>
    public static IReadOnlyList<RolloutSample> Score(
        TrainedPolicy policy, IReadOnlyList<int[]> prompts, IReadOnlyList<int[]> responses, KlPenalty? kind, double temperature,
        int batchSize, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("score");
        var threads = get_num_threads();
        var longest = Enumerable.Range(0, prompts.Count).Select(row => prompts[row].Length + responses[row].Length).DefaultIfEmpty(1).Max();
        var rowsAtATime = Math.Min(Math.Min(batchSize, (prompts.Count + threads - 1) / threads), TokensAtATime / longest);
        var batches = Enumerable.Range(0, prompts.Count).OrderByDescending(row => prompts[row].Length + responses[row].Length)
            .Chunk(Math.Max(1, rowsAtATime)).ToArray();
        var own = ForEach(batches, threads, rows => Numbers(rows, policy.Score(Sequences(rows), temperature)));
        if (kind is not { } penalty)
            return [.. own.Select((scored, i) => Sample(i, prompts[i], responses[i], scored.LogProbs, [], scored.Values, []))];
        var exact = penalty == KlPenalty.Full ? ForEach(batches, 1, rows => Rows(rows, ExactKl(policy, Sequences(rows), temperature))) : null;
        using var disabled = policy.WithAdapterDisabled();
        var reference = ForEach(batches, threads, rows => Numbers(rows, policy.Score(Sequences(rows), temperature)));
        return [.. own.Select((scored, i) => Sample(
            i, prompts[i], responses[i], scored.LogProbs, reference[i].LogProbs, scored.Values,
            exact?[i] ?? [.. scored.LogProbs.Zip(reference[i].LogProbs, (ours, theirs) => TokenKl.Penalty(ours - theirs, penalty))]))];

        SequenceBatch Sequences(int[] rows) => SequenceBatch.Of(Array.ConvertAll(rows, row => prompts[row]), Array.ConvertAll(rows, row => responses[row]), policy.Device);

        (float[] LogProbs, float[] Values)[] Numbers(int[] rows, TokenScores scores) =>
            [.. Rows(rows, scores.LogProbs).Zip(scores.Values is null ? Array.ConvertAll(rows, _ => Array.Empty<float>()) : Rows(rows, scores.Values))];

        // [b, R] → the numbers of each response
        float[][] Rows(int[] rows, Tensor x)
        {
            var numbers = x.cpu();
            return [.. rows.Select((row, i) => numbers[i].narrow(0, 0, responses[row].Length).data<float>().ToArray())];
        }

        T[] ForEach<T>(int[][] batches, int threads, Func<int[], T[]> work)
        {
            var results = new T[prompts.Count];
            var parts = Math.Min(batches.Length, threads);
            Threads.Share(parts, part =>
            {
                using var evaluation = no_grad();
                for (var batch = part; batch < batches.Length; batch += parts)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    using var scope = NewDisposeScope();
                    foreach (var (row, result) in batches[batch].Zip(work(batches[batch])))
                        results[row] = result;
                }
            });
            return results;
        }
    }

    /// <summary>[b, R]</summary>
    private static Tensor ExactKl(TrainedPolicy policy, SequenceBatch sequences, double temperature)
    {
        var own = policy.LogDistribution(sequences, temperature); // [b, R, V]
        using var reference = policy.WithAdapterDisabled();
        return TokenKl.Exact(own, policy.LogDistribution(sequences, temperature));
    }

    private static RolloutSample Sample(
        int index, int[] query, int[] response, float[] logProbs, float[] referenceLogProbs, float[] values, float[] penalties) => new()
        {
            Index = index,
            Query = query,
            Response = response,
            LogProbs = logProbs,
            ReferenceLogProbs = referenceLogProbs,
            Values = values,
            KlPenalties = penalties,
            Text = "",
            HasEnded = false,
            Score = 0,
            Terms = [],
            LabelProbability = null,
        };
}
