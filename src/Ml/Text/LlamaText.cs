using System.Text;
using Google.Protobuf;
using Microsoft.ML.Tokenizers;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Text to token ids and back for language models, equal to Hugging Face's fast tokenizers: of a <c>tokenizer.json</c>, or, where there
/// is none, of a SentencePiece <c>tokenizer.model</c> with its "legacy" normalizer (TinyLlama-Chat, Llama 2), by which every stretch
/// between added tokens gets one space in front. Immutable, so one instance serves all threads.
/// </summary>
/// <remarks>
/// Microsoft.ML.Tokenizers encodes the stretches of a <c>tokenizer.model</c>, save for the few in which a tie can occur. Where pairs of
/// one score overlap, as in "Mmmm", "....." or long runs of spaces, Hugging Face merges the left one and the library the right one, which
/// gives other ids (for 70 of DialogSum's 14,460 prompts). To redo the tie alone would take the scores, which the library keeps to itself,
/// so such a stretch goes through <see cref="BytePairMerges"/> as a whole (898 of the prompts, most for their "..."). Decoding is our own:
/// the library passes over unknown ids in silence.
/// </remarks>
public sealed class LlamaText
{
    private const char Space = '\u2581';

    private readonly TokenText?[] _tokens; // by id; a null is a hole between the vocabulary and an added token
    private readonly Dictionary<string, int> _ids;
    private readonly AddedTokens _added;
    private readonly Action<string, bool, List<int>> _encode; // a stretch without added tokens, and whether it is the very first
    private readonly IReadOnlyList<int> _before;

    /// <summary>Id of the token that starts every prompt; null: the tokenizer puts none there.</summary>
    public int? BosId => _before is [var first, ..] ? first : null;

    /// <summary>Id of the token that ends a text. Chat models end a turn with a token of their own: see <see cref="FindId"/>.</summary>
    public int EosId { get; }

    /// <summary>Id that fills the places after a text's end; <see cref="EosId"/> where the files name no padding token.</summary>
    public int PadId { get; }

    /// <summary>One more than the highest id, added tokens included.</summary>
    public int VocabularySize => _tokens.Length;

    /// <summary>Whether every token stands for bytes.</summary>
    internal bool IsByteLevel { get; }

    /// <summary>Whether a text loses the space that stands in front of it.</summary>
    internal bool DropsFirstSpace { get; } = true;

    private LlamaText(SentencePieceModel model, LlamaTokenizer library, string path, TokenizerFiles files)
    {
        var added = files.Added().ToDictionary(token => token.Content);
        int? Special(string key, string? fallback) => Name(files, key, fallback, added, model.Ids, path);
        _before = [Special("bos_token", "<s>")!.Value];
        EosId = Special("eos_token", "</s>")!.Value;
        PadId = Special("pad_token", null) ?? EosId;
        Special("unk_token", "<unk>");
        _added = new AddedTokens(added.Values);
        _tokens = Tokens(
            model.Texts.Select((text, id) => (text, id)), model.ByteIds.Select((id, value) => (id, (byte)value)), added.Values);
        _ids = Ids(_tokens);

        var merges = new BytePairMerges(model);
        _encode = (plain, _, ids) =>
        {
            var segment = Space + plain.Replace(' ', Space);
            if (merges.CanTie(segment))
                merges.Apply(segment, ids);
            else // without the library's normalization, which drops spaces in files that ask for it; Hugging Face's does not
                ids.AddRange(library.EncodeToIds(segment, considerPreTokenization: false, considerNormalization: false));
        };
    }

    private LlamaText(TokenizerJson json, string path, TokenizerFiles files)
    {
        if (json.After.Count > 0)
            throw new InvalidDataException(
                $"{path} puts an end token behind every text, so that a prompt would have ended before its response. Take the post-processor's token out.");
        var added = json.Added.ToDictionary(token => token.Content);
        foreach (var token in files.Added())
            added.TryAdd(token.Content, token);
        int? Special(string key) => Name(files, key, null, added, json.Ids, path);
        EosId = Special("eos_token") ?? throw new InvalidDataException(
            $"{path} does not tell which token ends a text: put the model's tokenizer_config.json, which names its eos_token, beside it.");
        PadId = Special("pad_token") ?? EosId;
        _before = json.Before;
        _added = new AddedTokens(added.Values);
        (IsByteLevel, DropsFirstSpace) = (json.IsByteLevel, json.DropsFirstSpace);
        var bytes = json.IsByteLevel ? [] : Enumerable.Range(0, 256)
            .Where(value => json.Ids.ContainsKey($"<0x{value:X2}>")).Select(value => (json.Ids[$"<0x{value:X2}>"], (byte)value));
        _tokens = Tokens(json.Ids.Select(piece => (piece.Key, piece.Value)), bytes, added.Values);
        _ids = Ids(_tokens);
        if (IsByteLevel)
            foreach (var (piece, id) in json.Ids.Where(piece => !added.ContainsKey(piece.Key)))
                _tokens[id] = new("", ByteLevel.Bytes(piece), IsSpecial: false);
        _encode = json.Encode;
    }

    /// <summary>
    /// Reads <c>tokenizer.json</c>, or where there is none <c>tokenizer.model</c>, and <c>tokenizer_config.json</c>,
    /// <c>special_tokens_map.json</c> and <c>added_tokens.json</c> where present; beside a <c>tokenizer.model</c> without them Llama's own
    /// <c>&lt;s&gt;</c>, <c>&lt;/s&gt;</c> and <c>&lt;unk&gt;</c> apply.
    /// </summary>
    /// <exception cref="InvalidDataException">A file is missing or is not what it should be; the message names it.</exception>
    public static LlamaText FromFolder(string folder)
    {
        var json = Path.Combine(folder, TokenizerJson.FileName);
        if (File.Exists(json))
            return new(TokenizerJson.Read(json), json, new TokenizerFiles(folder));
        var path = Path.Combine(folder, "tokenizer.model");
        if (!File.Exists(path))
            throw new InvalidDataException($"{path} is missing, and so is {TokenizerJson.FileName}: put one of them there, from the model's own repository.");
        var model = SentencePieceModel.Read(path);
        return new(model, Library(path), path, new TokenizerFiles(folder));
    }

    /// <summary>
    /// Token ids of a text. Added tokens written in it, such as <c>&lt;|im_end|&gt;</c>, become their ids: do not pass on the text of
    /// strangers where that matters. An unpaired surrogate counts as U+FFFD. Nothing is truncated.
    /// </summary>
    /// <param name="text">Any text; "" gives no more than the start token.</param>
    /// <param name="addBos">True puts in front what the tokenizer puts there: <see cref="BosId"/>, or nothing.</param>
    public int[] Encode(string text, bool addBos = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        if (addBos)
            ids.AddRange(_before);
        // The library would spell an unpaired surrogate in bytes even where U+FFFD has a piece of its own.
        var wellFormed = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        var isFirst = true;
        foreach (var (plain, token) in _added.Split(wellFormed))
        {
            if (token is not null)
                ids.Add(token.Id);
            else
                _encode(plain, isFirst, ids);
            isFirst = false;
        }
        return [.. ids];
    }

    /// <summary>
    /// Text of token ids: pieces joined, runs of byte pieces read as UTF-8 (one U+FFFD for each byte of a run that is none), then the
    /// leading space dropped that encoding put there. A byte-level vocabulary's bytes are read all together, what is none as U+FFFD.
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
    public int? FindId(string token) => _ids.TryGetValue(token, out var id) ? id : null;

    /// <summary>What a token adds to a text.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id stands for no token; the message names it.</exception>
    internal TokenText Token(int id) =>
        id >= 0 && id < _tokens.Length && _tokens[id] is { } token
            ? token
            : throw new ArgumentOutOfRangeException(
                nameof(id), $"Token id {id} stands for no token of this vocabulary of {VocabularySize}: "
                + "the ids come from a model with other tokens, or added_tokens.json is missing.");

    /// <summary>The id of a token that the files name, which is from then on cut out of texts; null where they name none.</summary>
    private static int? Name(
        TokenizerFiles files, string key, string? fallback, Dictionary<string, AddedToken> added, IReadOnlyDictionary<string, int> ids, string path)
    {
        if ((files.Name(key) ?? fallback) is not { } content)
            return null;
        if (added.TryGetValue(content, out var token))
            return token.Id;
        if (!ids.TryGetValue(content, out var id))
            throw new InvalidDataException(
                $"The {key} \"{content}\" is neither in {path} nor among the added tokens. Add the model's added_tokens.json or tokenizer_config.json.");
        added[content] = new(content, id);
        return id;
    }

    private static TokenText?[] Tokens(
        IEnumerable<(string Text, int Id)> pieces, IEnumerable<(int Id, byte Value)> bytes, IReadOnlyCollection<AddedToken> added)
    {
        var all = pieces.ToList();
        var tokens = new TokenText?[Math.Max(all.Max(piece => piece.Id), added.Max(token => token.Id)) + 1];
        foreach (var (text, id) in all)
            tokens[id] = new(text.Replace(Space, ' '), null, IsSpecial: false);
        foreach (var (id, value) in bytes)
            tokens[id] = new(tokens[id]!.Text, [value], IsSpecial: false);
        foreach (var token in added)
            tokens[token.Id] = new(token.Content, null, token.IsSpecial);
        return tokens;
    }

    private static Dictionary<string, int> Ids(TokenText?[] tokens)
    {
        var ids = new Dictionary<string, int>();
        for (var id = 0; id < tokens.Length; id++)
            if (tokens[id] is { } token)
                ids.TryAdd(token.Text, id);
        return ids;
    }

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
