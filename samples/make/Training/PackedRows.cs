using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Pretraining;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Training;

/// <summary>A prompt and its summaries as token ids, each summary with the end of text behind it.</summary>
internal sealed record TokenizedRow(int[] Prompt, IReadOnlyList<int[]> Summaries)
{
    public static TokenizedRow Of(PretrainingRow row, LlamaText text) => new(
        text.Encode(row.Prompt),
        [.. row.Summaries.Select(summary => (int[])[.. text.Encode(summary.Text, addBos: false), text.EosId])]);
}

/// <summary>
/// Rows of one prompt and all its summaries: the prompt's states are computed once, and each summary sees the prompt and itself
/// alone, at the positions it would have if it stood there by itself.
/// </summary>
/// <param name="InputIds">[B, T] int64</param>
/// <param name="Positions">[B, T] int64</param>
/// <param name="IsVisible">[B, T, T] bool</param>
/// <param name="Targets">[B, T] int64: the token that comes next.</param>
/// <param name="Weights">[B, T] float32: what its loss counts; 1 in summaries, less in prompts, 0 on pads.</param>
internal sealed record PackedRows(Tensor InputIds, Tensor Positions, Tensor IsVisible, Tensor Targets, Tensor Weights)
{
    // To predict the dialogue is not the aim, but it teaches what words there are.
    private const float PromptWeight = 0.3f;
    private const long Nobody = -1;

    /// <summary>Packs rows, padded on the right; the tensors belong to the caller's scope.</summary>
    public static PackedRows Of(IReadOnlyList<TokenizedRow> rows)
    {
        // The prompt's last token predicts the first of every summary: it stands in front of each of them, not in the prompt.
        var width = rows.Max(row => row.Prompt.Length - 1 + row.Summaries.Sum(summary => summary.Length));
        var cells = rows.Count * width;
        var (ids, positions, part, targets, weights) =
            (new long[cells], new long[cells], new long[cells], new long[cells], new float[cells]);
        Array.Fill(part, Nobody);
        for (var row = 0; row < rows.Count; row++)
        {
            var (prompt, at) = (rows[row].Prompt, row * width);
            var last = prompt.Length - 1;
            for (var t = 0; t < last; t++)
                Put(at++, prompt[t], t, 0, prompt[t + 1], PromptWeight);
            foreach (var (k, summary) in rows[row].Summaries.Index())
            {
                for (var t = 0; t < summary.Length; t++)
                    Put(at++, t == 0 ? prompt[last] : summary[t - 1], last + t, k + 1, summary[t], 1);
            }
        }

        var parts = tensor(part, rows.Count, width); // [B, T]
        var isSamePart = parts.unsqueeze(2).eq(parts.unsqueeze(1)); // [B, T, T]
        var isPrompt = parts.unsqueeze(1).eq(0); // [B, 1, T]
        var isEarlier = ones(width, width, ScalarType.Bool).tril(); // [T, T]
        return new(
            tensor(ids, rows.Count, width),
            tensor(positions, rows.Count, width),
            isSamePart.logical_or(isPrompt).logical_and(isEarlier),
            tensor(targets, rows.Count, width),
            tensor(weights, rows.Count, width));

        void Put(int at, int id, int position, int inPart, int target, float weight) =>
            (ids[at], positions[at], part[at], targets[at], weights[at]) = (id, position, inPart, target, weight);
    }
}
