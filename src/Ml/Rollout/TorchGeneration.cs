using RlhfFunctions.Ml.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Generation with libtorch's operations, on any device: prompts padded on the left, a key-value cache, rows leave the batch when
/// enough responses have ended. What a prompt gets is what it would get alone, up to the rounding of batched arithmetic.
/// </summary>
internal static class TorchGeneration
{
    private const double WorthShrinking = 0.75;

    // Tokens that a GPU chooses before it hears of the host again: whatever is brought there or back waits for all it was asked for.
    private const int AtATime = 8;

    /// <summary>The responses, in the prompts' order.</summary>
    /// <param name="model">The model.</param>
    /// <param name="job">What is asked for.</param>
    /// <param name="cancellationToken">Looked at whenever tokens are.</param>
    /// <param name="tokensAtATime">Chosen before rows that have ended leave; null: by the device. Nothing else depends on it.</param>
    public static NotedResponse[] Run(LlamaForCausalLm model, GenerationJob job, CancellationToken cancellationToken, int? tokensAtATime = null)
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
        var atATime = job.Processors != LogitsProcessors.None ? 1 : tokensAtATime ?? (model.Device.type == DeviceType.CPU ? 1 : AtATime);
        for (var first = 0; first < settings.MaxNewTokens; first += atATime)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var tokensScope = NewDisposeScope();

            // 2. the next tokens of each row
            var next = new List<Tensor>(); // [b] each
            var count = Math.Min(atATime, settings.MaxNewTokens - first);
            var places = Rows([.. running.SelectMany(row => Enumerable.Range(prompts[row].Length + first - 1, count).Select(place => (long)place))]); // [b, n]
            ulong[]? keys = job.SampleKeys is null ? null : [.. running.Select(row => job.SampleKeys[row])];
            var uniforms = keys is null || model.Device.type == DeviceType.CPU ? null : Sampler.Uniforms(keys, first, count, model.Device); // [b, n]
            for (var t = 0; t < count; t++)
            {
                var fed = t > 0 ? next[^1].unsqueeze(1) : Rows(ids); // [b, T]
                var at = first + t > 0 ? places.narrow(1, t, 1) : Rows(positions); // [b, T]
                next.Add(Next(fed, at, first + t, keys, uniforms?.narrow(1, t, 1)));
            }
            var chosen = stack(next).cpu().data<long>().ToArray().Chunk(running.Length).ToArray();

            // 3. rows that have ended take no more tokens, and leave once enough of them have
            foreach (var tokens in chosen)
                for (var i = 0; i < running.Length; i++)
                    if (!responses[running[i]].HasEnded)
                        responses[running[i]].Add(running[i], (int)tokens[i], job);
            int[] live = [.. Enumerable.Range(0, running.Length).Where(i => !responses[running[i]].HasEnded)];
            if (live.Length == 0)
                break;
            ids = chosen[^1];
            if (live.Length <= WorthShrinking * running.Length)
            {
                var rows = tensor(Array.ConvertAll(live, i => (long)i), device: model.Device); // [b]
                cache.KeepRows(rows);
                isRealToken = isRealToken.index_select(0, rows).MoveToOuterDisposeScope(); // [b, S]
                ids = Array.ConvertAll(live, i => ids[i]);
                running = Array.ConvertAll(live, i => running[i]);
            }
        }
        return responses;

        Tensor Next(Tensor columns, Tensor places, int position, ulong[]? keys, Tensor? uniform)
        {
            using var tokenScope = NewDisposeScope();
            var isCached = isPadded ? isRealToken.narrow(1, 0, width + position) : null; // [b, S]
            var hidden = model.Hidden(columns, places, isCached, cache).select(1, -1); // [b, H]
            var logits = model.Logits(hidden); // [b, V]
            if (job.Processors != LogitsProcessors.None)
            {
                int[][] sequences = [.. running.Select(row => (int[])[.. prompts[row], .. responses[row].Ids])];
                logits = job.Processors.Process(logits, sequences, position, job.EndOfText);
            }
            if (keys is null)
                return tokenScope.MoveToOuter(Sampler.Greedy(logits)); // [b]
            var warped = job.Processors.Warp(logits, settings.Temperature);
            return tokenScope.MoveToOuter(uniform is null ? Sampler.Draw(warped, keys, position) : Sampler.Draw(warped, uniform)); // [b]
        }

        Tensor Rows(long[] cells) => tensor(cells, running.Length, cells.Length / running.Length, device: model.Device); // [b, T]
    }
}
