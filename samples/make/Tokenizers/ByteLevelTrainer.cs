using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace RlhfFunctions.Samples.Make.Tokenizers;

/// <summary>The two files of a byte-level BPE tokenizer.</summary>
public sealed record ByteLevelFiles(string VocabJson, string MergesTxt);

/// <summary>
/// Trains byte-level BPE as GPT-2 and RoBERTa use it: specials 0–3, the 256 bytes (each shown as a printable character),
/// the merges, and &lt;mask&gt; last.
/// </summary>
public static partial class ByteLevelTrainer
{
    private static readonly string[] Specials = ["<s>", "<pad>", "</s>", "<unk>"];
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="texts">What the classifier will read.</param>
    /// <param name="size">The whole vocabulary, specials and bytes included.</param>
    public static ByteLevelFiles Train(IEnumerable<string> texts, int size)
    {
        var words = new Dictionary<string, int>();
        foreach (var text in texts)
            foreach (Match word in Word().Matches(text))
                words[word.Value] = words.GetValueOrDefault(word.Value) + 1;
        var symbols = words.OrderBy(w => w.Key, StringComparer.Ordinal)
            .Select(w => ((IReadOnlyList<string>)[.. Encoding.UTF8.GetBytes(w.Key).Select(b => Shown[b].ToString())], w.Value));
        var wanted = size - Specials.Length - 256 - 1;
        var merges = PairMerger.Learn(symbols, wanted);
        if (merges.Count != wanted)
            throw new InvalidOperationException(
                $"The texts give {merges.Count} merges, a vocabulary of {size} needs {wanted}: take more text or a smaller vocabulary.");

        var ids = new Dictionary<string, int>(); // keeps its order in the JSON
        foreach (var piece in (string[])[.. Specials, .. Shown.Order().Select(c => c.ToString()), .. merges.Select(m => m.Piece), "<mask>"])
            ids.Add(piece, ids.Count);
        var lines = merges.Select(m => $"{m.Left} {m.Right}\n");
        return new ByteLevelFiles(JsonSerializer.Serialize(ids, Readable), "#version: 0.2\n" + string.Concat(lines));
    }

    /// <summary>Printable bytes stand for themselves, the others for the characters from U+0100 on, in order.</summary>
    private static char[] Shown { get; } = ShownBytes();

    private static char[] ShownBytes()
    {
        var shown = new char[256];
        var hidden = 0;
        for (var value = 0; value < 256; value++)
            shown[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)value : (char)(256 + hidden++);
        return shown;
    }

    /// <summary>GPT-2's cut into words: the space belongs to the word after it.</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    private static partial Regex Word();
}
