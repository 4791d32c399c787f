using System.Text.Json;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Microsoft.ML.Tokenizers;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Text to token ids for RoBERTa classifiers, equal to Hugging Face: byte-level BPE from <c>vocab.json</c> and <c>merges.txt</c>, XLM-RoBERTa's
/// unigrams from <c>sentencepiece.bpe.model</c>, or byte-level BPE from a <c>tokenizer.json</c> where these are missing, wrapped as
/// <c>&lt;s&gt; … &lt;/s&gt;</c>. Immutable, so one instance serves all threads.
/// </summary>
public sealed partial class RobertaText
{
    private const string Unigrams = "sentencepiece.bpe.model"; // so named, though it holds no BPE

    private readonly Action<string, List<int>> _encode; // a stretch without special tokens
    private readonly AddedTokens _specials;
    private readonly int _start;
    private readonly int _end;

    /// <summary>Id that fills the places after a text's end.</summary>
    public int PadId { get; }

    /// <summary>The most tokens the files allow, <c>&lt;s&gt;</c> and <c>&lt;/s&gt;</c> included; 512 where they are silent.</summary>
    public int MaxLength { get; }

    private RobertaText(Action<string, List<int>> encode, AddedTokens specials, int start, int end, int padId, int maxLength) =>
        (_encode, _specials, _start, _end, PadId, MaxLength) = (encode, specials, start, end, padId, maxLength);

    /// <summary>
    /// Reads <c>vocab.json</c> and <c>merges.txt</c>, or else <c>sentencepiece.bpe.model</c> or <c>tokenizer.json</c>, and <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c> and
    /// <c>added_tokens.json</c> where present; the ids of the special tokens come from the vocabulary.
    /// </summary>
    /// <exception cref="InvalidDataException">A file is missing or is not what it should be; the message names it.</exception>
    public static RobertaText FromFolder(string folder)
    {
        var (unigrams, json) = (Path.Combine(folder, Unigrams), Path.Combine(folder, TokenizerJson.FileName));
        if (!File.Exists(Path.Combine(folder, "vocab.json")))
        {
            if (File.Exists(unigrams))
                return FromUnigrams(unigrams, new TokenizerFiles(folder));
            if (File.Exists(json))
                return FromJson(json, new TokenizerFiles(folder));
        }
        var vocabularyPath = Existing(folder, "vocab.json");
        var mergesPath = Existing(folder, "merges.txt");
        var files = new TokenizerFiles(folder);
        var vocabulary = ReadVocabulary(vocabularyPath);
        var specials = files.Added().ToDictionary(token => token.Content);

        int Special(string key, string fallback, bool takesSpaceLeft = false)
        {
            var content = files.Name(key) ?? fallback;
            if (specials.TryGetValue(content, out var known))
                return known.Id;
            if (!vocabulary.TryGetValue(content, out var id))
                throw new InvalidDataException($"{vocabularyPath} has no entry for the {key} \"{content}\": it belongs to another model.");
            specials[content] = new(content, id, TakesSpaceLeft: files.TakesSpaceLeft(key) ?? takesSpaceLeft);
            return id;
        }

        var start = Special("bos_token", "<s>");
        var end = Special("eos_token", "</s>");
        var padId = Special("pad_token", "<pad>");
        Special("unk_token", "<unk>");
        Special("mask_token", "<mask>", takesSpaceLeft: true);
        try
        {
            var bpe = BpeTokenizer.Create(new BpeOptions(vocabularyPath, mergesPath)
            {
                ByteLevel = true,
                PreTokenizer = new RegexPreTokenizer(Words(), specialTokens: null),
            });
            return new((plain, ids) => ids.AddRange(bpe.EncodeToIds(plain)), new AddedTokens(specials.Values), start, end, padId, files.MaxLength ?? 512);
        }
        catch (Exception broken) when (broken is ArgumentException or FormatException or InvalidOperationException)
        {
            throw new InvalidDataException($"{mergesPath} does not go with {vocabularyPath}: {broken.Message}", broken);
        }
    }

    /// <summary>
    /// Token ids of a text. Special tokens written in it become their ids, as with Hugging Face. A text that is too long loses its
    /// <b>end</b> and keeps <c>&lt;/s&gt;</c>.
    /// </summary>
    /// <param name="text">Any text; "" gives the two wrapping tokens.</param>
    /// <param name="maxLength">The most ids to return, at least 2; <see cref="MaxLength"/> where null.</param>
    public int[] Encode(string text, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        var room = Room(maxLength);
        return Wrap(Content(text).Take(room));
    }

    /// <summary>
    /// Token ids of a prompt with its response behind it. Where both fit, the ids of the joined text; where they don't, the prompt loses
    /// its <b>beginning</b>, so that the classifier always sees the response. Only a response that is too long by itself loses its end.
    /// </summary>
    /// <param name="prompt">What the response answers.</param>
    /// <param name="response">What is to be judged.</param>
    /// <param name="maxLength">The most ids to return, at least 2; <see cref="MaxLength"/> where null.</param>
    public int[] EncodePair(string prompt, string response, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(response);
        var room = Room(maxLength);
        var joined = Content(prompt + response);
        if (joined.Count <= room)
            return Wrap(joined);
        var judged = Content(response);
        return Wrap(Content(prompt).TakeLast(Math.Max(0, room - judged.Count)).Concat(judged.Take(room)));
    }

    /// <summary>XLM-RoBERTa puts four tokens of its own before SentencePiece's pieces, whose first three they replace, and the mask behind them.</summary>
    private static RobertaText FromUnigrams(string path, TokenizerFiles files)
    {
        const int start = 0, pad = 1, end = 2, unknown = 3, shift = 1;
        SentencePieceTokenizer pieces;
        try
        {
            using var file = File.OpenRead(path);
            pieces = SentencePieceTokenizer.Create(file, addBeginningOfSentence: false, addEndOfSentence: false);
        }
        catch (Exception broken) when (broken is ArgumentException or InvalidOperationException or InvalidProtocolBufferException)
        {
            throw new InvalidDataException($"{path} is no SentencePiece model: {broken.Message} Take the file from the model's own repository.", broken);
        }
        AddedToken[] own =
        [
            new("<s>", start), new("<pad>", pad), new("</s>", end), new("<unk>", unknown),
            new("<mask>", pieces.Vocabulary.Count + shift, TakesSpaceLeft: true),
        ];
        var specials = own.Concat(files.Added()).GroupBy(token => token.Content).Select(token => token.Last());
        return new(Encode, new AddedTokens(specials), start, end, pad, files.MaxLength ?? 512);

        void Encode(string plain, List<int> ids)
        {
            var isUnknown = false;
            foreach (var id in pieces.EncodeToIds(plain))
            {
                if (id != pieces.UnknownId)
                    ids.Add(id + shift);
                else if (!isUnknown)
                    ids.Add(unknown); // one for all that stands together
                isUnknown = id == pieces.UnknownId;
            }
        }
    }

    private static RobertaText FromJson(string path, TokenizerFiles files)
    {
        var json = TokenizerJson.Read(path);
        if (json is not { IsByteLevel: true, Before: [var start], After: [var end] })
            throw new InvalidDataException(
                $"{path} is no tokenizer of RoBERTa's kind: byte-level BPE, with one token before every text and one behind it. Name a classifier built on RoBERTa, or on XLM-RoBERTa with its {Unigrams}.");
        var padName = files.Name("pad_token") ?? "<pad>";
        var pad = json.Added.FirstOrDefault(token => token.Content == padName)?.Id ?? (json.Ids.TryGetValue(padName, out var id) ? id
            : throw new InvalidDataException($"{path} has no token \"{padName}\" to fill up texts with. Take all files from the model's own repository."));
        return new((plain, ids) => json.Encode(plain, isFirst: false, ids), new AddedTokens(json.Added), start, end, pad, files.MaxLength ?? 512);
    }

    private int Room(int? maxLength)
    {
        var length = maxLength ?? MaxLength;
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2, nameof(maxLength));
        return length - 2;
    }

    private int[] Wrap(IEnumerable<int> content) => [_start, .. content, _end];

    private List<int> Content(string text)
    {
        var ids = new List<int>();
        foreach (var (plain, token) in _specials.Split(text))
        {
            if (token is null)
                _encode(plain, ids);
            else
                ids.Add(token.Id);
        }
        return ids;
    }

    private static string Existing(string folder, string file)
    {
        var path = Path.Combine(folder, file);
        return File.Exists(path) ? path : throw new InvalidDataException($"{path} is missing: take it from the model's own repository.");
    }

    private static Dictionary<string, int> ReadVocabulary(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(path))
                ?? throw new InvalidDataException($"{path} holds null instead of tokens and ids.");
        }
        catch (JsonException broken)
        {
            throw new InvalidDataException($"{path} is no JSON object of tokens and ids: {broken.Message}", broken);
        }
    }

    /// <summary>GPT-2's split into words, numbers, punctuation and white space.</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Words();
}
