using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Text of token ids that arrive one by one. The pieces joined are <see cref="LlamaText.Decode"/> of all ids: a character is never
/// split, since bytes wait until they make one, and the space in front of a word comes with it, save the very first.
/// </summary>
/// <param name="tokens">The vocabulary.</param>
/// <param name="skipSpecialTokens">True leaves special tokens out.</param>
public sealed class TextStream(LlamaText tokens, bool skipSpecialTokens = true)
{
    private readonly List<byte> _bytes = [];
    private readonly Decoder _characters = Encoding.UTF8.GetDecoder();
    private bool _hasBegun;

    /// <summary>What another token adds to the text; "" where it must wait for the next.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id stands for no token.</exception>
    public string Append(int id)
    {
        var token = tokens.Token(id);
        if (skipSpecialTokens && token.IsSpecial)
            return "";
        if (token.Bytes is null)
            return Begin(Bytes() + Characters([], isLast: true) + token.Text);
        if (tokens.IsByteLevel)
            return Begin(Characters(token.Bytes, isLast: false));
        _bytes.AddRange(token.Bytes);
        return "";
    }

    /// <summary>What still waited when the last token had come.</summary>
    public string End() => Begin(Bytes() + Characters([], isLast: true));

    /// <summary>Drops the one space that the encoder put in front of the text.</summary>
    private string Begin(string text)
    {
        if (_hasBegun || text.Length == 0 || !tokens.DropsFirstSpace)
            return text;
        _hasBegun = true;
        return text[0] == ' ' ? text[1..] : text;
    }

    /// <summary>The run of bytes that waits, read as UTF-8; one U+FFFD for each byte of a run that is none.</summary>
    private string Bytes()
    {
        var run = CollectionsMarshal.AsSpan(_bytes);
        var text = Utf8.IsValid(run) ? Encoding.UTF8.GetString(run) : new string('\uFFFD', run.Length);
        _bytes.Clear();
        return text;
    }

    /// <summary>The characters that more bytes make whole; a U+FFFD for what can become none.</summary>
    private string Characters(byte[] bytes, bool isLast)
    {
        var characters = new char[_characters.GetCharCount(bytes, isLast)];
        _characters.GetChars(bytes, characters, isLast);
        return new string(characters);
    }
}
