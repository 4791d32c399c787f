using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace RlhfFunctions.Reports;

/// <summary>
/// A piece of HTML written as an interpolated string. What stands in a hole is encoded unless it is itself a piece of HTML, so
/// that no text, whatever a model wrote, becomes markup. Numbers are written alike everywhere.
/// </summary>
[InterpolatedStringHandler]
internal readonly struct Html
{
    private readonly StringBuilder _text;

    public Html(int literalLength, int formattedCount)
    {
        _text = new StringBuilder(literalLength + (formattedCount * 16));
    }

    public static Html None => $"";

    /// <summary>What is markup already, and constant.</summary>
    public static Html Raw(string markup)
    {
        var html = new Html(markup.Length, 0);
        html.AppendLiteral(markup);
        return html;
    }

    public void AppendLiteral(string literal)
    {
        _text.Append(literal);
    }

    public void AppendFormatted(string? text)
    {
        _text.Append(WebUtility.HtmlEncode(text));
    }

    public void AppendFormatted<T>(T number, string? format = null)
        where T : IFormattable
    {
        AppendFormatted(number.ToString(format, CultureInfo.InvariantCulture));
    }

    public void AppendFormatted(Html html)
    {
        _text.Append(html._text);
    }

    public void AppendFormatted(IEnumerable<Html> pieces)
    {
        foreach (var piece in pieces) AppendFormatted(piece);
    }

    public override string ToString()
    {
        return _text.ToString();
    }
}
