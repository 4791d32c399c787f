using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Decoding;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Generates responses for a batch of prompts. What a prompt gets is what it would get alone: on a CPU to the last bit
/// (<see cref="FusedGeneration"/>), elsewhere up to the rounding of batched arithmetic (<see cref="TorchGeneration"/>).
/// </summary>
public static class BatchGenerator
{
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
        return Ids(model, Job(model, prompts, sampleKeys, settings, processors) with { Limits = limits, OnToken = onToken }, cancellationToken);
    }

    /// <summary>The most probable continuation of each prompt, token by token; the rest as in <see cref="Sample"/>.</summary>
    public static IReadOnlyList<int[]> Greedy(
        LlamaForCausalLm model, IReadOnlyList<int[]> prompts, GenerationSettings settings, CancellationToken cancellationToken,
        LogitsProcessors? processors = null, Action<int, int>? onToken = null) =>
        Ids(model, Job(model, prompts, null, settings, processors) with { OnToken = onToken }, cancellationToken);

    /// <summary>The ids that end a response: the settings', or else those of the model's configuration.</summary>
    public static IReadOnlySet<int> EndOfText(LlamaForCausalLm model, GenerationSettings settings) =>
        (settings.EndOfTextIds ?? model.Config.EndOfTextIds).ToHashSet();

    /// <summary>Does a job, by the loops that fit the model.</summary>
    internal static NotedResponse[] Run(LlamaForCausalLm model, GenerationJob job, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("generate");
        return FusedLlama.CanRun(model) ? FusedGeneration.Run(model, job, cancellationToken) : TorchGeneration.Run(model, job, cancellationToken);
    }

    /// <summary>A job with what the settings leave open filled in.</summary>
    internal static GenerationJob Job(
        LlamaForCausalLm model, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong>? sampleKeys, GenerationSettings settings,
        LogitsProcessors? processors = null)
    {
        if (prompts.Count == 0 || prompts.Any(prompt => prompt.Length == 0))
            throw new ArgumentException($"{prompts.Count} prompts: at least one is needed, of at least one token each.");
        return new()
        {
            Prompts = prompts,
            SampleKeys = sampleKeys,
            Settings = settings,
            Processors = processors ?? LogitsProcessors.Of(settings),
            EndOfText = EndOfText(model, settings),
        };
    }

    private static int[][] Ids(LlamaForCausalLm model, GenerationJob job, CancellationToken cancellationToken) =>
        [.. Run(model, job, cancellationToken).Select(response => response.Ids.ToArray())];
}
