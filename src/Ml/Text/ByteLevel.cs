using System.Text;

namespace RlhfFunctions.Ml.Text;

/// <summary>GPT-2's spelling of bytes by characters that can be seen: vocabularies of byte-level BPE are written in it.</summary>
internal static class ByteLevel
{
    private static readonly char[] ToChar = BuildChars();
    private static readonly Dictionary<char, byte> ToByte = ToChar.Select((c, value) => (c, value)).ToDictionary(pair => pair.c, pair => (byte)pair.value);

    /// <summary>The UTF-8 bytes of a text, one character each.</summary>
    public static string Spell(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(value => ToChar[value]));

    /// <summary>The bytes a token of the vocabulary stands for; its own UTF-8 where it is not spelt this way.</summary>
    public static byte[] Bytes(string token) =>
        token.All(ToByte.ContainsKey) ? [.. token.Select(c => ToByte[c])] : Encoding.UTF8.GetBytes(token);

    private static char[] BuildChars()
    {
        var chars = new char[256];
        var next = 256;
        for (var value = 0; value < 256; value++)
            chars[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : (char)next++;
        return chars;
    }
}
