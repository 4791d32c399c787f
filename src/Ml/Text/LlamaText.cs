using System.Text;
using Google.Protobuf;
using Microsoft.ML.Tokenizers;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Text to token ids and back for models of the Llama family that ship a SentencePiece <c>tokenizer.model</c>, equal to Hugging
/// Face's fast tokenizer with its "legacy" normalizer (TinyLlama-Chat, Llama 2): every stretch between added tokens gets one space in
/// front. Immutable, so one instance serves all threads.
/// </summary>
/// <remarks>
/// Microsoft.ML.Tokenizers encodes those stretches, save for the few in which a tie can occur. Where pairs of one score overlap, as in
/// "Mmmm", "....." or long runs of spaces, Hugging Face merges the left one and the library the right one, which gives other ids (for
/// 70 of DialogSum's 14,460 prompts). To redo the tie alone would take the scores, which the library keeps to itself, so such a stretch
/// goes through <see cref="BytePairMerges"/> as a whole (898 of the prompts, most for their "..."). Decoding is our own: the library
/// passes over unknown ids in silence.
/// </remarks>
public sealed class LlamaText
{
    private const char Space = '\u2581';

    private readonly string?[] _pieces; // by id; a null is a hole between the vocabulary and an added token
    private readonly bool[] _isSpecial;
    private readonly short[] _byteValues; // the byte that a piece spells, -1 for ordinary pieces
    private readonly LlamaTokenizer _library;
    private readonly BytePairMerges _merges;
    private readonly AddedTokens _added;

    /// <summary>Id of the token that starts every prompt.</summary>
    public int BosId { get; }

    /// <summary>Id of the token that ends a text. Chat models end a turn with a token of their own: see <see cref="FindId"/>.</summary>
    public int EosId { get; }

    /// <summary>Id that fills the places after a text's end; <see cref="EosId"/> where the files name no padding token.</summary>
    public int PadId { get; }

    /// <summary>One more than the highest id, added tokens included.</summary>
    public int VocabularySize => _pieces.Length;

    private LlamaText(string folder, LlamaTokenizer library, SentencePieceModel model, TokenizerFiles files)
    {
        var added = files.Added().ToDictionary(token => token.Content);

        int? Special(string key, string? fallback)
        {
            if ((files.Name(key) ?? fallback) is not { } content)
                return null;
            if (!added.TryGetValue(content, out var token))
            {
                if (!model.Ids.TryGetValue(content, out var id))
                    throw new InvalidDataException(
                        $"{folder}: the {key} \"{content}\" is neither in tokenizer.model nor among the added tokens. Add the model's added_tokens.json.");
                added[content] = token = new(content, id);
            }
            return token.Id;
        }

        BosId = Special("bos_token", "<s>")!.Value;
        EosId = Special("eos_token", "</s>")!.Value;
        PadId = Special("pad_token", null) ?? EosId;
        Special("unk_token", "<unk>");
        _added = new AddedTokens(added.Values);
        _library = library;
        _merges = new BytePairMerges(model);

        var size = Math.Max(model.Texts.Count, added.Values.Max(token => token.Id) + 1);
        _pieces = new string?[size];
        _isSpecial = new bool[size];
        _byteValues = new short[size];
        Array.Fill(_byteValues, (short)-1);
        for (var id = 0; id < model.Texts.Count; id++)
            _pieces[id] = model.Texts[id].Replace(Space, ' ');
        for (var value = 0; value < model.ByteIds.Count; value++)
            _byteValues[model.ByteIds[value]] = (short)value;
        foreach (var token in added.Values)
        {
            _pieces[token.Id] = token.Content;
            _isSpecial[token.Id] = token.IsSpecial;
        }
    }

    /// <summary>
    /// Reads <c>tokenizer.model</c>, and <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c> and <c>added_tokens.json</c> where
    /// present; without them Llama's own <c>&lt;s&gt;</c>, <c>&lt;/s&gt;</c> and <c>&lt;unk&gt;</c> apply.
    /// </summary>
    /// <exception cref="InvalidDataException">A file is missing or is not what it should be; the message names it.</exception>
    public static LlamaText FromFolder(string folder)
    {
        var path = Path.Combine(folder, "tokenizer.model");
        if (!File.Exists(path))
            throw new InvalidDataException($"{path} is missing: put the model's SentencePiece file there (a tokenizer.json alone is not supported).");
        var model = SentencePieceModel.Read(path);
        return new(folder, Library(path), model, new TokenizerFiles(folder));
    }

    /// <summary>
    /// Token ids of a text. Added tokens written in it, such as <c>&lt;|im_end|&gt;</c>, become their ids: do not pass on the text of
    /// strangers where that matters. An unpaired surrogate counts as U+FFFD. Nothing is truncated.
    /// </summary>
    /// <param name="text">Any text; "" gives no more than the start token.</param>
    /// <param name="addBos">True puts <see cref="BosId"/> in front.</param>
    public int[] Encode(string text, bool addBos = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        if (addBos)
            ids.Add(BosId);
        // The library would spell an unpaired surrogate in bytes even where U+FFFD has a piece of its own.
        var wellFormed = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        foreach (var (plain, token) in _added.Split(wellFormed))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
                continue;
            }
            var segment = Space + plain.Replace(' ', Space);
            if (_merges.CanTie(segment))
                _merges.Apply(segment, ids);
            else // without the library's normalization, which drops spaces in files that ask for it; Hugging Face's does not
                ids.AddRange(_library.EncodeToIds(segment, considerPreTokenization: false, considerNormalization: false));
        }
        return [.. ids];
    }

    /// <summary>
    /// Text of token ids: pieces joined, runs of byte pieces read as UTF-8 (one U+FFFD for each byte of a run that is none), then one
    /// leading space dropped.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">An id stands for no token; the message names it.</exception>
    public string Decode(IReadOnlyList<int> ids, bool skipSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var stream = new TextStream(this, skipSpecialTokens);
        var text = new StringBuilder();
        foreach (var id in ids)
            text.Append(stream.Append(id));
        return text.Append(stream.End()).ToString();
    }

    /// <summary>The id of a token by its text (<c>&lt;|im_end|&gt;</c>), or null where there is none.</summary>
    public int? FindId(string token) => Array.IndexOf(_pieces, token) is >= 0 and var id ? id : null;

    /// <summary>A token's text, the byte it spells if that is what it does, and whether it is special.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id stands for no token; the message names it.</exception>
    internal (string Piece, byte? ByteValue, bool IsSpecial) Token(int id) =>
        id >= 0 && id < _pieces.Length && _pieces[id] is { } piece
            ? (piece, _byteValues[id] < 0 ? null : (byte)_byteValues[id], _isSpecial[id])
            : throw new ArgumentOutOfRangeException(
                nameof(id), $"Token id {id} stands for no token of this vocabulary of {VocabularySize}: "
                + "the ids come from a model with other tokens, or added_tokens.json is missing.");

    private static LlamaTokenizer Library(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            var library = LlamaTokenizer.Create(file, addBeginOfSentence: false, addEndOfSentence: false);
            return library.ByteFallback
                ? library
                : throw new InvalidDataException($"{path} does not use its byte pieces: train it with byte_fallback, as Llama's is.");
        }
        catch (Exception broken) when (broken is ArgumentException or InvalidProtocolBufferException)
        {
            throw new InvalidDataException($"{path}: {broken.Message} Only Llama's kind of tokenizer.model is supported.", broken);
        }
    }
}
