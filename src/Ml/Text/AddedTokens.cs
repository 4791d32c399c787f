using System.Text.RegularExpressions;

namespace RlhfFunctions.Ml.Text;

/// <summary>A token that is cut out of the text before the sub-word model sees it.</summary>
/// <param name="Content">The literal text, such as <c>&lt;|im_end|&gt;</c>.</param>
/// <param name="Id">Its token id.</param>
/// <param name="IsSpecial">True: decoding leaves it out when asked to skip special tokens.</param>
/// <param name="TakesSpaceLeft">True: white space before it belongs to the token and vanishes.</param>
/// <param name="TakesSpaceRight">True: white space after it belongs to the token and vanishes.</param>
internal sealed record AddedToken(string Content, int Id, bool IsSpecial = true, bool TakesSpaceLeft = false, bool TakesSpaceRight = false);

/// <summary>Cuts texts at added tokens: leftmost match first, the longest of those that start there.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<string, AddedToken> _byContent;
    private readonly Regex _pattern;

    /// <param name="tokens">At least one.</param>
    public AddedTokens(IEnumerable<AddedToken> tokens)
    {
        _byContent = tokens.ToDictionary(token => token.Content);
        // .NET tries alternatives from left to right, so the longest goes first.
        var alternatives = _byContent.Keys.OrderByDescending(content => content.Length).Select(Regex.Escape);
        _pattern = new Regex(string.Join('|', alternatives), RegexOptions.Compiled | RegexOptions.CultureInvariant);
    }

    /// <summary>The pieces of a text in order: each is either plain (a non-empty slice, no token) or an added token.</summary>
    public IEnumerable<(string Plain, AddedToken? Token)> Split(string text)
    {
        var start = 0;
        for (var match = _pattern.Match(text); match.Success; match = match.NextMatch())
        {
            if (match.Index < start) // begins with white space that the token before has taken
                continue;
            var token = _byContent[match.Value];
            var (from, to) = (match.Index, match.Index + match.Length);
            while (token.TakesSpaceLeft && from > start && char.IsWhiteSpace(text[from - 1]))
                from--;
            while (token.TakesSpaceRight && to < text.Length && char.IsWhiteSpace(text[to]))
                to++;
            if (from > start)
                yield return (text[start..from], null);
            yield return ("", token);
            start = to;
        }
        if (start < text.Length)
            yield return (text[start..], null);
    }
}
