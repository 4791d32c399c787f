using System.Text.RegularExpressions;

namespace RlhfFunctions.Samples.Make.Tokenizers;

/// <summary>
/// Trains a SentencePiece BPE model as Llama's: specials 0–2, the 256 byte pieces 3–258, then merges in order of their
/// making, then single characters. What no piece covers (a line break, an emoji) falls back to bytes.
/// </summary>
public static partial class SentencePieceTrainer
{
    private const char Space = '▁';
    private const int FirstLearned = 3 + 256;

    // sentencepiece_model.proto: SentencePiece.Type, TrainerSpec.ModelType.
    private enum PieceType { Normal = 1, Unknown = 2, Control = 3, Byte = 6 }
    private const int ByPairs = 2;

    /// <param name="texts">Each is encoded on its own, with a space in front.</param>
    /// <param name="size">The whole vocabulary, specials and bytes included.</param>
    /// <returns>The bytes of tokenizer.model.</returns>
    public static byte[] Train(IEnumerable<string> texts, int size)
    {
        var words = new Dictionary<string, int>();
        foreach (var text in texts)
            foreach (Match word in Word().Matches((" " + text).Replace(' ', Space)))
                words[word.Value] = words.GetValueOrDefault(word.Value) + 1;
        var letters = words.Keys.SelectMany(Letters).Distinct().Order(StringComparer.Ordinal).ToList();
        var symbols = words.OrderBy(w => w.Key, StringComparer.Ordinal).Select(w => ((IReadOnlyList<string>)[.. Letters(w.Key)], w.Value));
        var wanted = size - FirstLearned - letters.Count;
        var merges = PairMerger.Learn(symbols, wanted);
        if (merges.Count != wanted)
            throw new InvalidOperationException(
                $"The texts give {merges.Count} merges, a vocabulary of {size} needs {wanted}: take more text or a smaller vocabulary.");
        return Model([.. merges.Select(m => m.Piece), .. letters]);
    }

    private static IEnumerable<string> Letters(string word) => word.EnumerateRunes().Select(r => r.ToString());

    private static byte[] Model(IReadOnlyList<string> learned)
    {
        var model = new ProtobufWriter();
        void Piece(string text, float score, PieceType type) =>
            model.Message(1, new ProtobufWriter().Text(1, text).Float(2, score).Number(3, (ulong)type));

        Piece("<unk>", 0, PieceType.Unknown);
        Piece("<s>", 0, PieceType.Control);
        Piece("</s>", 0, PieceType.Control);
        for (var value = 0; value < 256; value++)
            Piece($"<0x{value:X2}>", 0, PieceType.Byte);
        foreach (var (rank, piece) in learned.Index())
            Piece(piece, -rank, PieceType.Normal); // the score is the order of the merges

        model.Message(2, new ProtobufWriter() // trainer_spec
            .Number(3, ByPairs)
            .Number(4, (ulong)(FirstLearned + learned.Count))
            .Flag(35, true) // byte_fallback
            .Number(40, 0).Number(41, 1).Number(42, 2).Number(43, ulong.MaxValue) // unk, bos, eos; no pad (−1)
            .Text(45, "<unk>").Text(46, "<s>").Text(47, "</s>"));
        model.Message(3, new ProtobufWriter() // normalizer_spec
            .Text(1, "identity")
            .Flag(3, true) // add_dummy_prefix
            .Flag(4, false) // remove_extra_whitespaces
            .Flag(5, true)); // escape_whitespaces
        return model.ToArray();
    }

    /// <summary>
    /// Merges stay within words, within runs of digits or punctuation, and within a speaker's tag: a name is one piece
    /// whether a comma follows or not, and "#Person1#" is as easy to copy as a name. A line break is left to the bytes.
    /// </summary>
    [GeneratedRegex(@"▁?(?:#Person[0-9]#|\p{L}+|\p{N}|[^\p{L}\p{N}▁\r\n]+)|▁")]
    private static partial Regex Word();
}
