using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Generation with libtorch's operations, on any device: prompts padded on the left, a key-value cache, rows leave the batch when
/// enough responses have ended. What a prompt gets is what it would get alone, up to the rounding of batched arithmetic.
/// </summary>
internal static class TorchGeneration
{
    private const double WorthShrinking = 0.75;

    /// <summary>The responses, in the prompts' order.</summary>
    public static NotedResponse[] Run(LlamaForCausalLm model, GenerationJob job, CancellationToken cancellationToken)
    {
        using var evaluation = no_grad();
        using var scope = NewDisposeScope();
        var (prompts, settings) = (job.Prompts, job.Settings);
        var responses = prompts.Select(_ => new NotedResponse()).ToArray();

        // 1. the prompts, padded on the left so that all of them end in the same column
        var width = prompts.Max(prompt => prompt.Length);
        var (ids, positions) = (new long[prompts.Count * width], new long[prompts.Count * width]);
        var isPadded = prompts.Any(prompt => prompt.Length < width);
        var real = new bool[prompts.Count * (width + settings.MaxNewTokens)];
        for (var row = 0; row < prompts.Count; row++)
        {
            var pads = width - prompts[row].Length;
            for (var t = pads; t < width; t++)
                (ids[(row * width) + t], positions[(row * width) + t]) = (prompts[row][t - pads], t - pads);
            real.AsSpan(row * (width + settings.MaxNewTokens))[pads..(width + settings.MaxNewTokens)].Fill(true);
        }
        var isRealToken = tensor(real, prompts.Count, width + settings.MaxNewTokens, device: model.Device); // [B, S]
        using var cache = new KvCache(width + settings.MaxNewTokens);

        var running = Enumerable.Range(0, prompts.Count).ToArray();
        for (var position = 0; position < settings.MaxNewTokens; position++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var tokenScope = NewDisposeScope();

            // 2. the next token of each row
            var isCached = isPadded ? isRealToken.narrow(1, 0, width + position) : null; // [b, S]
            var hidden = model.Hidden(Rows(ids), Rows(positions), isCached, cache).select(1, -1); // [b, H]
            var logits = model.Logits(hidden); // [b, V]
            if (job.Processors != LogitsProcessors.None)
            {
                int[][] sequences = [.. running.Select(row => (int[])[.. prompts[row], .. responses[row].Ids])];
                logits = job.Processors.Process(logits, sequences, position, job.EndOfText);
            }
            var next = job.SampleKeys is null ? Sampler.Greedy(logits)
                : Sampler.Draw(job.Processors.Warp(logits, settings.Temperature), [.. running.Select(row => job.SampleKeys[row])], position); // [b]
            var chosen = next.cpu().data<long>().ToArray();

            // 3. rows that have ended take no more tokens, and leave once enough of them have
            var live = new List<int>();
            for (var i = 0; i < running.Length; i++)
            {
                var response = responses[running[i]];
                if (response.HasEnded)
                    continue;
                response.Add(running[i], (int)chosen[i], job);
                if (!response.HasEnded)
                    live.Add(i);
            }
            if (live.Count == 0)
                break;
            if (live.Count <= WorthShrinking * running.Length)
            {
                var rows = tensor(live.ConvertAll(i => (long)i).ToArray(), device: model.Device); // [b]
                cache.KeepRows(rows);
                isRealToken = isRealToken.index_select(0, rows).MoveToOuterDisposeScope(); // [b, S]
                chosen = [.. live.Select(i => chosen[i])];
                running = [.. live.Select(i => running[i])];
            }
            ids = chosen;
            positions = [.. running.Select(row => (long)prompts[row].Length + position)];
        }
        return responses;

        Tensor Rows(long[] cells) => tensor(cells, running.Length, cells.Length / running.Length, device: model.Device); // [b, T]
    }
}
