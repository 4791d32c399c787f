using System.Globalization;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Tests.Rollout;

/// <summary>A reward without a model: the share of one token in a response whose text is its ids.</summary>
internal sealed class TokenShareReward(int token) : ITextReward
{
    public static string Decode(IReadOnlyList<int> ids) => string.Join(' ', ids);

    public IReadOnlyList<TextScore> Score(IReadOnlyList<string> texts, CancellationToken cancellationToken) => [.. texts.Select(text =>
    {
        var share = (float)text.Split(' ').Average(id => id == token.ToString(CultureInfo.InvariantCulture) ? 1.0 : 0);
        return new TextScore(share, 1 - share);
    })];
}
