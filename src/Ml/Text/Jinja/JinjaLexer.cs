using System.Text.RegularExpressions;

namespace RlhfFunctions.Ml.Text.Jinja;

internal enum TokenKind
{
    /// <summary>Text outside of tags.</summary>
    Text,

    /// <summary>{{ or {%.</summary>
    Begin,

    /// <summary>}} or %}.</summary>
    End,
    Name,
    String,
    Number,
    Sign,
    EndOfTemplate,
}

/// <param name="Kind">What it is.</param>
/// <param name="Value">Its text; of a string, what it stands for.</param>
/// <param name="Line">Where it stands, from 1.</param>
internal readonly record struct Token(TokenKind Kind, string Value, int Line)
{
    public bool Is(string value) => Kind is TokenKind.Name or TokenKind.Sign or TokenKind.Begin or TokenKind.End && Value == value;
}

/// <summary>Cuts a template into tokens, white space handled as transformers asks of Jinja: trim_blocks and lstrip_blocks are on.</summary>
internal static partial class JinjaLexer
{
    /// <exception cref="InvalidDataException">A tag is not closed, or holds what is none of the language.</exception>
    public static List<Token> Read(string template)
    {
        template = template.ReplaceLineEndings("\n");
        if (template.EndsWith('\n'))
            template = template[..^1];
        var tokens = new List<Token>();
        var (place, line) = (0, 1);
        var trims = false; // the tag before ended in a minus
        var isBehindBlock = false;
        while (true)
        {
            var tag = Tag().Match(template, place);
            var end = tag.Success ? tag.Index : template.Length;
            var text = template[place..end];
            var begun = line;
            line += text.Count(c => c == '\n');
            if (trims)
                text = text.TrimStart();
            else if (isBehindBlock && text.StartsWith('\n'))
                text = text[1..];
            if (tag.Success && tag.Groups["sign"].Value == "-")
                text = text.TrimEnd();
            else if (tag.Success && tag.Groups["sign"].Value != "+" && tag.Value[1] is '%' or '#' && IsFirstOfLine(template, end))
                text = text.TrimEnd(' ', '\t');
            if (text.Length > 0)
                tokens.Add(new(TokenKind.Text, text, begun));
            if (!tag.Success)
                break;
            (place, trims) = tag.Value[1] == '#' ? SkipComment(template, tag, ref line) : ReadTag(template, tag, tokens, ref line);
            isBehindBlock = tag.Value[1] != '{';
        }
        tokens.Add(new(TokenKind.EndOfTemplate, "", line));
        return tokens;
    }

    private static bool IsFirstOfLine(string template, int place)
    {
        var text = template.AsSpan(0, place).TrimEnd(" \t");
        return text.Length == 0 || text[^1] == '\n';
    }

    private static (int Place, bool Trims) SkipComment(string template, Match tag, ref int line)
    {
        var end = template.IndexOf("#}", tag.Index + tag.Length, StringComparison.Ordinal);
        if (end < 0)
            throw Broken("a comment is not closed", line);
        line += template.AsSpan(tag.Index, end - tag.Index).Count('\n');
        return (end + 2, template[end - 1] == '-');
    }

    private static (int Place, bool Trims) ReadTag(string template, Match tag, List<Token> tokens, ref int line)
    {
        tokens.Add(new(TokenKind.Begin, tag.Value[..2], line));
        var close = tag.Value[1] == '{' ? "}}" : "%}";
        var depth = 0; // within braces of a dictionary, }} is none of ours
        for (var place = tag.Index + tag.Length; ;)
        {
            while (place < template.Length && char.IsWhiteSpace(template[place]))
                line += template[place++] == '\n' ? 1 : 0;
            var rest = template.AsSpan(Math.Min(place, template.Length));
            foreach (var sign in new[] { "", "-", "+" })
            {
                if (depth > 0 || !rest.StartsWith(sign + close, StringComparison.Ordinal))
                    continue;
                tokens.Add(new(TokenKind.End, close, line));
                return (place + sign.Length + close.Length, sign == "-");
            }
            var match = Inside().Match(template, place);
            if (!match.Success)
                throw Broken(rest.Length == 0 ? $"a {tag.Value[..2]} is not closed" : $"'{rest[0]}' means nothing there", line);
            var kind = match.Groups["name"].Success ? TokenKind.Name : match.Groups["number"].Success ? TokenKind.Number
                : match.Groups["text"].Success ? TokenKind.String : TokenKind.Sign;
            tokens.Add(new(kind, kind == TokenKind.String ? Unescape(match.Value[1..^1]) : match.Value, line));
            depth += match.Value switch { "{" => 1, "}" => -1, _ => 0 };
            line += match.Value.Count(c => c == '\n');
            place += match.Length;
        }
    }

    private static string Unescape(string text) => Escape().Replace(text, match => match.Value[1] switch
    {
        'n' => "\n",
        't' => "\t",
        'r' => "\r",
        'u' => ((char)Convert.ToInt32(match.Groups["code"].Value, 16)).ToString(),
        '\\' or '\'' or '"' => match.Value[1..],
        _ => match.Value,
    });

    private static InvalidDataException Broken(string what, int line) => new($"the chat template is broken in line {line}: {what}");

    [GeneratedRegex(@"\{[{%#](?<sign>[-+]?)")]
    private static partial Regex Tag();

    [GeneratedRegex(
        @"\G(?:(?<name>[A-Za-z_]\w*)|(?<number>\d+(?:\.\d+)?)|(?<text>'(?:[^'\\]|\\.)*'|""(?:[^""\\]|\\.)*"")|==|!=|<=|>=|//|\*\*|[-+*/%~<>=|.,:()\[\]{}])",
        RegexOptions.Singleline)]
    private static partial Regex Inside();

    [GeneratedRegex(@"\\(?:u(?<code>[0-9a-fA-F]{4})|.)", RegexOptions.Singleline)]
    private static partial Regex Escape();
}
