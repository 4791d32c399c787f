using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Policy;

/// <summary>
/// Prompts with their responses, laid out for scoring: sequences [B, T] padded on the right, responses aligned at column 0 of
/// [B, R]. Attention is causal, so padding behind a sequence cannot reach it and needs no mask. The tensors belong to the
/// dispose scope they were made in.
/// </summary>
public sealed record SequenceBatch
{
    /// <summary>Prompt and response without the response's last token, which predicts nothing. [B, T]</summary>
    public required Tensor Ids { get; init; }

    /// <summary>Where in the flattened [B · T] positions the state stands that predicts each response token. [B · R]</summary>
    public required Tensor Predictors { get; init; }

    /// <summary>The response tokens. [B, R]</summary>
    public required Tensor ResponseIds { get; init; }

    /// <summary>True where a response has a token. [B, R]</summary>
    public required Tensor IsResponseToken { get; init; }

    /// <summary>R: the longest response.</summary>
    public long ResponseLength => ResponseIds.shape[1];

    /// <summary>Lays out one batch; every prompt and every response needs at least one token.</summary>
    public static SequenceBatch Of(IReadOnlyList<int[]> prompts, IReadOnlyList<int[]> responses, Device device)
    {
        var rows = prompts.Count;
        if (rows == 0 || responses.Count != rows || prompts.Concat(responses).Any(ids => ids.Length == 0))
            throw new ArgumentException(
                $"{rows} prompts and {responses.Count} responses: each needs its counterpart and at least one token.");
        var sequenceLength = prompts.Zip(responses, (prompt, response) => prompt.Length + response.Length - 1).Max();
        var responseLength = responses.Max(response => response.Length);

        var ids = new long[rows * sequenceLength];
        var predictors = new long[rows * responseLength];
        var responseIds = new long[rows * responseLength];
        var isResponseToken = new bool[rows * responseLength];
        for (var row = 0; row < rows; row++)
        {
            var (prompt, response) = (prompts[row], responses[row]);
            var start = row * sequenceLength;
            for (var t = 0; t < prompt.Length; t++)
                ids[start + t] = prompt[t];
            for (var r = 0; r < responseLength; r++)
            {
                var cell = (row * responseLength) + r;
                predictors[cell] = start; // of padding: any state will do
                if (r >= response.Length)
                    continue;
                predictors[cell] = start + prompt.Length - 1 + r;
                responseIds[cell] = response[r];
                isResponseToken[cell] = true;
                if (r < response.Length - 1)
                    ids[start + prompt.Length + r] = response[r];
            }
        }
        return new()
        {
            Ids = tensor(ids, rows, sequenceLength, device: device),
            Predictors = tensor(predictors, device: device),
            ResponseIds = tensor(responseIds, rows, responseLength, device: device),
            IsResponseToken = tensor(isResponseToken, rows, responseLength, device: device),
        };
    }
}
