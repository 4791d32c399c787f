using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Generates responses for a batch of prompts: left-padded, with a key-value cache, rows leave the batch when their response has
/// ended. What a prompt gets is what it would get alone, up to the rounding of batched arithmetic.
/// </summary>
public static class BatchGenerator
{
    private const double WorthShrinking = 0.75;

    /// <summary>Samples one response per prompt at the settings' temperature.</summary>
    /// <param name="model">With its adapter on or off, as the caller left it.</param>
    /// <param name="prompts">Token ids; at least one each.</param>
    /// <param name="sampleKeys">One key per prompt, from Seeds.Derive: equal keys and prompts give equal responses.</param>
    /// <param name="settings">Length, temperature and ends of text.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <param name="processors">Restrictions; the settings' where null.</param>
    /// <param name="limits">Tokens after which each response ends, at most the settings' MaxNewTokens; that where null.</param>
    /// <param name="onToken">Told of each token as it is chosen: the prompt's place and the token's id.</param>
    /// <returns>The responses, cut behind their first end-of-text token, which they keep.</returns>
    public static IReadOnlyList<int[]> Sample(
        LlamaForCausalLm model, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong> sampleKeys, GenerationSettings settings,
        CancellationToken cancellationToken, LogitsProcessors? processors = null, IReadOnlyList<int>? limits = null,
        Action<int, int>? onToken = null)
    {
        if (sampleKeys.Count != prompts.Count)
            throw new ArgumentException($"{prompts.Count} prompts, but {sampleKeys.Count} sample keys.");
        return Generate(model, prompts, sampleKeys, settings, processors, limits, onToken, cancellationToken);
    }

    /// <summary>The most probable continuation of each prompt, token by token; the rest as in <see cref="Sample"/>.</summary>
    public static IReadOnlyList<int[]> Greedy(
        LlamaForCausalLm model, IReadOnlyList<int[]> prompts, GenerationSettings settings, CancellationToken cancellationToken,
        LogitsProcessors? processors = null, Action<int, int>? onToken = null) =>
        Generate(model, prompts, null, settings, processors, null, onToken, cancellationToken);

    /// <summary>The ids that end a response: the settings', or else those of the model's configuration.</summary>
    public static IReadOnlySet<int> EndOfText(LlamaForCausalLm model, GenerationSettings settings) =>
        (settings.EndOfTextIds ?? model.Config.EndOfTextIds).ToHashSet();

    private static int[][] Generate(
        LlamaForCausalLm model, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong>? sampleKeys, GenerationSettings settings,
        LogitsProcessors? processors, IReadOnlyList<int>? limits, Action<int, int>? onToken, CancellationToken cancellationToken)
    {
        using var evaluation = no_grad();
        using var scope = NewDisposeScope();
        if (prompts.Count == 0 || prompts.Any(prompt => prompt.Length == 0))
            throw new ArgumentException($"{prompts.Count} prompts: at least one is needed, of at least one token each.");
        var endOfText = EndOfText(model, settings);
        processors ??= LogitsProcessors.Of(settings);
        var responses = prompts.Select(_ => new List<int>()).ToArray();
        var hasEnded = new bool[prompts.Count];

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
            if (processors != LogitsProcessors.None)
            {
                int[][] sequences = [.. running.Select(row => (int[])[.. prompts[row], .. responses[row]])];
                logits = processors.Process(logits, sequences, position, endOfText);
            }
            var next = sampleKeys is null ? Sampler.Greedy(logits)
                : Sampler.Draw(processors.Warp(logits, settings.Temperature), [.. running.Select(row => sampleKeys[row])], position); // [b]
            var chosen = next.cpu().data<long>().ToArray();

            // 3. rows that have ended take no more tokens, and leave once enough of them have
            var live = new List<int>();
            for (var i = 0; i < running.Length; i++)
            {
                if (hasEnded[running[i]])
                    continue;
                responses[running[i]].Add((int)chosen[i]);
                hasEnded[running[i]] = endOfText.Contains((int)chosen[i])
                    || responses[running[i]].Count == (limits?[running[i]] ?? settings.MaxNewTokens);
                onToken?.Invoke(running[i], (int)chosen[i]);
                if (!hasEnded[running[i]])
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
        return [.. responses.Select(response => response.ToArray())];

        Tensor Rows(long[] cells) => tensor(cells, running.Length, cells.Length / running.Length, device: model.Device); // [b, T]
    }
}
