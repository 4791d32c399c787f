using System.Globalization;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Ml.Tests.Rollout;

/// <summary>A reward without a model: the share of one token in a response whose text is its ids.</summary>
internal sealed class TokenShareReward(int token) : ITextReward
{
    public static string Decode(IReadOnlyList<int> ids) => string.Join(' ', ids);

    public static string Decode(IReadOnlyList<int> ids, bool skipSpecialTokens) => skipSpecialTokens ? Decode(ids) : $"verbatim {Decode(ids)}";

    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) => [.. responses.Select(item =>
    {
        var share = (float)item.Response.Split(' ').Average(id => id == token.ToString(CultureInfo.InvariantCulture) ? 1.0 : 0);
        return new TextScore(share, 1 - share);
    })];
}
