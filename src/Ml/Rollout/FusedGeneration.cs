using RlhfFunctions.Ml.Decoding;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Generation on a CPU in fused loops. A prompt that several responses share is read once; where a response has ended, the next one
/// takes its place, so that memory does not grow with the number of prompts. What a prompt gets does not depend on its neighbours,
/// to the last bit.
/// </summary>
internal static class FusedGeneration
{
    // A model this small is all waiting when threads share each of its products: they take rows of their own instead.
    private const long SmallModel = 8_000_000;

    // Sequences under way at a time: as many as one pass over the weights serves.
    private const int Slots = FusedLlama.MaxRows;

    /// <summary>The responses, in the prompts' order.</summary>
    public static NotedResponse[] Run(LlamaForCausalLm model, GenerationJob job, CancellationToken cancellationToken)
    {
        var responses = job.Prompts.Select(_ => new NotedResponse()).ToArray();
        ForRows(model, job.Prompts.Count, job.OnToken is null, (rows, threads) => Run(model, job, rows, responses, threads, cancellationToken));
        return responses;
    }

    /// <summary>log π of given responses, by the model as it is.</summary>
    public static float[][] LogProbs(
        LlamaForCausalLm model, IReadOnlyList<int[]> prompts, IReadOnlyList<int[]> responses, double temperature,
        CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("score");
        var logProbs = responses.Select(response => new float[response.Length]).ToArray();
        ForRows(model, prompts.Count, true, (rows, threads) =>
        {
            using var llama = new FusedLlama(model, [.. rows.Select(row => prompts[row].Length + responses[row].Length)], threads);
            foreach (var group in ByPrompt(rows, prompts))
            {
                cancellationToken.ThrowIfCancellationRequested();
                llama.Feed(Prompt(prompts, rows, group[0]), (_, _) =>
                {
                    foreach (var i in group)
                        logProbs[rows[i]][0] = Sampler.LogProb(llama.LogitsOf(0), responses[rows[i]][0], temperature);
                });
                foreach (var i in group.Skip(1))
                    llama.Fork(group[0], i, prompts[rows[i]].Length);
                var places = group.SelectMany(i => Enumerable.Range(1, responses[rows[i]].Length - 1).Select(t => (Sequence: i, Place: t))).ToArray();
                var fed = Array.ConvertAll(places, p => new FedToken(p.Sequence, responses[rows[p.Sequence]][p.Place - 1], IsWanted: true));
                llama.Feed(fed, (first, count) =>
                {
                    for (var w = 0; w < count; w++)
                    {
                        var (i, t) = places[first + w];
                        logProbs[rows[i]][t] = Sampler.LogProb(llama.LogitsOf(w), responses[rows[i]][t], temperature);
                    }
                });
                foreach (var i in group)
                    llama.End(i);
            }
        });
        return logProbs;
    }

    private static void Run(
        LlamaForCausalLm model, GenerationJob job, int[] rows, NotedResponse[] responses, int threads, CancellationToken cancellationToken)
    {
        using var llama = new FusedLlama(model, [.. rows.Select(row => job.Prompts[row].Length + job.Limit(row))], threads);
        var chooser = new TokenChooser(llama, job, responses);
        var unread = new Queue<int[]>(ByPrompt(rows, job.Prompts));
        var unforked = new Queue<(int Reader, int Sequence)>(); // know their first token, and that another has read their prompt
        var running = new List<int>();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();

            // 1. those that have ended make room, unless a prompt they have read is still wanted
            running.RemoveAll(i =>
            {
                if (!responses[rows[i]].HasEnded || unforked.Any(other => other.Reader == i))
                    return false;
                llama.End(i);
                return true;
            });

            // 2. the next take it: a prompt is read when there is room for all of its samples, or for the first of more than there ever is
            while (running.Count < Slots && unforked.TryDequeue(out var next))
            {
                llama.Fork(next.Reader, next.Sequence, job.Prompts[rows[next.Sequence]].Length);
                running.Add(next.Sequence);
            }
            var going = running.FindAll(i => !responses[rows[i]].HasEnded);
            var fed = going.ConvertAll(i => new FedToken(i, responses[rows[i]].Ids[^1], IsWanted: true));
            var groups = new List<int[]>();
            var free = Slots - running.Count - unforked.Count;
            while (unread.TryPeek(out var group) && (group.Length <= free || free == Slots))
            {
                groups.Add(unread.Dequeue());
                free -= group.Length;
                running.Add(group[0]);
                fed.AddRange(Prompt(job.Prompts, rows, group[0]));
            }
            if (fed.Count == 0)
                return;

            // 3. a token more for all; a prompt's first for all of its samples
            llama.Feed(fed, (first, count) => chooser.Choose(Enumerable.Range(first, count).SelectMany(w =>
                w < going.Count ? [(w - first, rows[going[w]])] : groups[w - going.Count].Select(i => (w - first, rows[i])))));
            foreach (var group in groups)
                foreach (var i in group.Skip(1).Where(i => !responses[rows[i]].HasEnded))
                    unforked.Enqueue((group[0], i));
        }
    }

    /// <summary>All rows with all threads, or for a small model some rows for each thread.</summary>
    private static void ForRows(LlamaForCausalLm model, int count, bool mayCut, Action<int[], int> work)
    {
        var threads = get_num_threads();
        var all = Enumerable.Range(0, count).ToArray();
        var isSmall = model.Projections().Sum(p => p.Layer.InFeatures * p.Layer.OutFeatures) < SmallModel;
        if (!isSmall || !mayCut || threads == 1)
            work(all, isSmall ? 1 : threads);
        else
        {
            var cuts = all.Chunk((count + threads - 1) / threads).ToArray();
            Threads.Share(cuts.Length, part => work(cuts[part], 1));
        }
    }

    /// <summary>Places in <paramref name="rows"/>, those of one prompt together.</summary>
    private static int[][] ByPrompt(int[] rows, IReadOnlyList<int[]> prompts) =>
        [.. Enumerable.Range(0, rows.Length).GroupBy(i => prompts[rows[i]], SameIds.Instance).Select(group => group.ToArray())];

    private static IReadOnlyList<FedToken> Prompt(IReadOnlyList<int[]> prompts, int[] rows, int sequence)
    {
        var prompt = prompts[rows[sequence]];
        return [.. prompt.Select((id, t) => new FedToken(sequence, id, IsWanted: t == prompt.Length - 1))];
    }

    private sealed class SameIds : IEqualityComparer<int[]>
    {
        public static readonly SameIds Instance = new();

        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] ids)
        {
            var hash = new HashCode();
            foreach (var id in ids)
                hash.Add(id);
            return hash.ToHashCode();
        }
    }
}
