using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Text of token ids that arrive one by one. The pieces joined are <see cref="LlamaText.Decode"/> of all ids: a character is never
/// split, since a run of byte pieces waits for its end, and the space in front of a word comes with it, save the very first.
/// </summary>
/// <param name="tokens">The vocabulary.</param>
/// <param name="skipSpecialTokens">True leaves special tokens out.</param>
public sealed class TextStream(LlamaText tokens, bool skipSpecialTokens = true)
{
    private readonly List<byte> _bytes = [];
    private bool _hasBegun;

    /// <summary>What another token adds to the text; "" where it must wait for the next.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id stands for no token.</exception>
    public string Append(int id)
    {
        var (piece, byteValue, isSpecial) = tokens.Token(id);
        if (skipSpecialTokens && isSpecial)
            return "";
        if (byteValue is { } value)
        {
            _bytes.Add(value);
            return "";
        }
        return Begin(Bytes() + piece);
    }

    /// <summary>What still waited when the last token had come.</summary>
    public string End() => Begin(Bytes());

    /// <summary>Drops the one space that the encoder put in front of the text.</summary>
    private string Begin(string text)
    {
        if (_hasBegun || text.Length == 0)
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
}
