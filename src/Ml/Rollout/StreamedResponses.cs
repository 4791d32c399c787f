using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>Generation whose text is told while it grows.</summary>
public static class StreamedResponses
{
    /// <summary>As <see cref="BatchGenerator.Sample"/>; the pieces of a response joined are its decoded text.</summary>
    /// <param name="model">With its adapter on or off, as the caller left it.</param>
    /// <param name="text">The model's tokenizer.</param>
    /// <param name="prompts">Token ids; at least one each.</param>
    /// <param name="sampleKeys">One key per prompt, from Seeds.Derive.</param>
    /// <param name="settings">Length, temperature, restrictions and ends of text.</param>
    /// <param name="onText">Told, on the calling thread, of each piece: the prompt's place and text that is never empty.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <returns>The responses' token ids.</returns>
    public static IReadOnlyList<int[]> Sample(
        LlamaForCausalLm model, LlamaText text, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong> sampleKeys, GenerationSettings settings,
        Action<int, string> onText, CancellationToken cancellationToken)
    {
        var streams = prompts.Select(_ => new TextStream(text)).ToArray();
        var responses = BatchGenerator.Sample(
            model, prompts, sampleKeys, settings, cancellationToken, onToken: (row, id) => Tell(row, streams[row].Append(id)));
        for (var row = 0; row < streams.Length; row++)
            Tell(row, streams[row].End());
        return responses;

        void Tell(int row, string piece)
        {
            if (piece.Length > 0)
                onText(row, piece);
        }
    }
}
