using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;
using RlhfFunctions.Ml.Artifacts;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// A <c>tokenizer.json</c> of Hugging Face's tokenizers, of the two kinds that language models ship: byte-level BPE (Llama 3, Qwen,
/// SmolLM2, RoBERTa) and BPE over characters with <c>▁</c> for a space and bytes for what is missing (Llama 2, Mistral, TinyLlama).
/// Whatever else a file asks for is refused by name.
/// </summary>
/// <remarks>
/// The cuts before merging are made here, since Microsoft.ML.Tokenizers reads no pattern by code points and has no "ignore_merges".
/// It merges the pieces of byte-level vocabularies, where no two pairs rank equal; those over characters take
/// <see cref="BytePairMerges"/>, for the library spells nothing in byte pieces without a <c>tokenizer.model</c>.
/// </remarks>
internal sealed class TokenizerJson
{
    public const string FileName = "tokenizer.json";

    /// <summary>GPT-2's split into words, numbers, punctuation and white space.</summary>
    public const string Gpt2Words = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private const char Space = '\u2581';

    private const int LongestWord = 1000;

    private readonly string _path;
    private readonly List<Func<string, string>> _normalizers = [];
    private readonly List<Func<string, bool, IEnumerable<string>>> _cuts = []; // of a text, and whether it is the very first
    private readonly List<SplitPattern> _patterns = [];
    private readonly Dictionary<string, int> _ids;
    private readonly Action<string, List<int>> _merge;

    private TokenizerJson(string path, ConfigFile file)
    {
        _path = path;
        var model = file.Section("model") ?? throw Refused("has no 'model'");
        if (model.Text("type", model.Find("merges") is null ? "without merges" : "BPE") is not "BPE" and var type)
            throw Refused($"has a model of type {type}; only BPE is supported");
        foreach (var key in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            if (model.Text(key, "") is { Length: > 0 } affix)
                throw Refused($"sets '{key}' to \"{affix}\", which is not supported");

        _ids = Vocabulary(model);
        Added = [.. Tokens(file)];
        Merges = ReadMerges(model);
        UnknownToken = model.Text("unk_token");
        foreach (var step in Steps(file.Section("normalizer"), "normalizers"))
            _normalizers.Add(Normalizer(step));
        foreach (var step in Steps(file.Section("pre_tokenizer"), "pretokenizers"))
            AddCut(step);
        var decoders = Steps(file.Section("decoder"), "decoders").Select(step => (Type: step.Text("type"), Step: step)).ToList();
        IsByteLevel = decoders.Any(d => d.Type == "ByteLevel");
        DropsFirstSpace = decoders.Any(d => d.Type == "Strip" && d.Step.Int("start", 0) > 0)
            || decoders.Any(d => d.Type == "Metaspace" && d.Step.Text("prepend_scheme", "always") != "never");
        foreach (var (name, _) in decoders)
            if (name is not ("ByteLevel" or "Replace" or "ByteFallback" or "Fuse" or "Strip" or "Metaspace"))
                throw Refused($"has a decoder of type {name}, which is not supported");

        IgnoresMerges = model.Flag("ignore_merges", false);
        _merge = IsByteLevel ? MergeBytes() : MergeCharacters(model.Flag("byte_fallback", false), model.Flag("fuse_unk", false));
        (Before, After) = ReadTemplate(file.Section("post_processor"));
    }

    /// <summary>Tokens that are cut out of a text before anything else.</summary>
    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary>Ids of the sub-word vocabulary.</summary>
    public IReadOnlyDictionary<string, int> Ids => _ids;

    /// <summary>Pairs that merge, the best first.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>Stands for what the vocabulary lacks; null: there is no such token.</summary>
    public string? UnknownToken { get; }

    /// <summary>Whether the vocabulary spells bytes; otherwise characters, with <c>▁</c> for a space.</summary>
    public bool IsByteLevel { get; }

    /// <summary>Whether a piece that is a token as a whole is not merged.</summary>
    public bool IgnoresMerges { get; }

    /// <summary>Whether decoding drops the space that stands in front of a text.</summary>
    public bool DropsFirstSpace { get; }

    /// <summary>Whether encoding puts a space in front of a text.</summary>
    public bool PutsSpaceInFront { get; private set; }

    /// <summary>The patterns that texts are cut by, as the file has them.</summary>
    public IEnumerable<string> Patterns => _patterns.Select(pattern => pattern.Text);

    /// <summary>Ids put in front of every text.</summary>
    public IReadOnlyList<int> Before { get; }

    /// <summary>Ids put behind every text.</summary>
    public IReadOnlyList<int> After { get; }

    /// <exception cref="InvalidDataException">It is damaged, or asks for what is not supported; the message names it.</exception>
    public static TokenizerJson Read(string path)
    {
        try
        {
            return new(path, ConfigFile.Open(path));
        }
        catch (Exception broken) when (broken is ArgumentException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            throw new InvalidDataException($"{path}: {broken.Message} Take the file from the model's own repository.", broken);
        }
    }

    /// <summary>Ids of a stretch without added tokens.</summary>
    /// <param name="plain">Without unpaired surrogates.</param>
    /// <param name="isFirst">Whether it stands at the very beginning.</param>
    /// <param name="output">Where the ids go.</param>
    public void Encode(string plain, bool isFirst, List<int> output)
    {
        var normalized = _normalizers.Aggregate(plain, (text, normalize) => normalize(text));
        if (normalized.Length == 0)
            return;
        IEnumerable<string> pieces = [normalized];
        foreach (var cut in _cuts)
            pieces = [.. pieces.SelectMany((piece, i) => cut(piece, isFirst && i == 0))];
        foreach (var piece in pieces)
            _merge(piece, output);
    }

    private Action<string, List<int>> MergeBytes()
    {
        var library = BpeTokenizer.Create(new BpeOptions(_ids) { Merges = Merges.Select(merge => $"{merge.Left} {merge.Right}"), ByteLevel = true });
        // The library's time grows with the square of a word's length; nobody writes such words but to see that.
        var merges = new Lazy<BytePairMerges>(() => new BytePairMerges(
            _ids, null, null, Merges.Select(merge => (_ids[merge.Left], _ids[merge.Right], _ids[merge.Left + merge.Right]))));
        return (piece, output) =>
        {
            if (IgnoresMerges && _ids.TryGetValue(ByteLevel.Spell(piece), out var whole))
                output.Add(whole);
            else if (piece.Length > LongestWord)
                merges.Value.Apply(ByteLevel.Spell(piece), output);
            else
                output.AddRange(library.EncodeToIds(piece, considerPreTokenization: false, considerNormalization: false));
        };
    }

    private Action<string, List<int>> MergeCharacters(bool hasBytes, bool fusesUnknown)
    {
        int[] byteIds = [.. Enumerable.Range(0, hasBytes ? 256 : 0).Select(value => _ids.GetValueOrDefault($"<0x{value:X2}>", -1))];
        if (byteIds.Contains(-1))
            throw Refused("falls back to bytes, but its vocabulary lacks some of <0x00> to <0xFF>");
        int? unknown = UnknownToken is null ? null : _ids[UnknownToken];
        if (!hasBytes && fusesUnknown)
            throw Refused("sets 'fuse_unk' without bytes to fall back to, which is not supported");
        var merges = new BytePairMerges(
            _ids, hasBytes ? byteIds : null, unknown, Merges.Select(merge => (_ids[merge.Left], _ids[merge.Right], _ids[merge.Left + merge.Right])));
        return (piece, output) =>
        {
            if (IgnoresMerges && _ids.TryGetValue(piece, out var whole))
                output.Add(whole);
            else
                merges.Apply(piece, output);
        };
    }

    private Func<string, string> Normalizer(ConfigFile step)
    {
        switch (step.Text("type"))
        {
            case "Prepend":
                var prefix = step.Text("prepend")!;
                PutsSpaceInFront = true;
                return text => text.Length == 0 ? text : prefix + text;
            case "Replace" when Literal(step) is { Length: > 0 } from:
                var to = step.Text("content")!;
                return text => text.Replace(from, to, StringComparison.Ordinal);
            case "NFC":
                return CanonicalForm.Compose;
            case var type:
                throw Refused($"has a normalizer of type {type}, which is not supported");
        }
    }

    private void AddCut(ConfigFile step)
    {
        switch (step.Text("type"))
        {
            case "Split":
                var pattern = step.Section("pattern") is { } given && given.Text("Regex") is { } regex
                    ? regex : System.Text.RegularExpressions.Regex.Escape(Literal(step) ?? throw Refused("has a Split without a pattern"));
                AddPattern(pattern, keepsRest: (step.Text("behavior"), step.Flag("invert", false)) switch
                {
                    ("Isolated", false) => true,
                    ("Removed", true) => false,
                    var (behavior, isInverted) => throw Refused($"splits with behavior {behavior}, invert {isInverted}, which is not supported"),
                });
                break;
            case "Digits":
                AddPattern(step.Flag("individual_digits", false) ? @"\p{N}" : @"\p{N}+", keepsRest: true);
                break;
            case "ByteLevel":
                if (step.Flag("add_prefix_space", false))
                    _cuts.Add((text, _) => [text.StartsWith(' ') ? text : $" {text}"]);
                if (step.Flag("use_regex", true))
                    AddPattern(Gpt2Words, keepsRest: true);
                break;
            case "Metaspace":
                AddMetaspace(step);
                break;
            case var type:
                throw Refused($"has a pre-tokenizer of type {type}, which is not supported");
        }
    }

    private void AddPattern(string pattern, bool keepsRest)
    {
        var split = new SplitPattern(pattern, keepsRest);
        _patterns.Add(split);
        _cuts.Add((text, _) => split.Split(text));
    }

    private void AddMetaspace(ConfigFile step)
    {
        if (step.Text("replacement", $"{Space}") != $"{Space}")
            throw Refused("has a Metaspace with another sign than ▁, which is not supported");
        var scheme = step.Text("prepend_scheme", step.Flag("add_prefix_space", true) ? "always" : "never");
        PutsSpaceInFront = scheme != "never";
        _cuts.Add((text, isFirst) =>
        {
            var spaced = text.Replace(' ', Space);
            var isPrepended = scheme == "always" || (scheme == "first" && isFirst);
            return [isPrepended && !spaced.StartsWith(Space) ? Space + spaced : spaced];
        });
        if (step.Flag("split", true))
            AddPattern($"{Space}[^{Space}]*", keepsRest: true);
    }

    /// <summary>What a post-processor puts before and behind a single text.</summary>
    private (IReadOnlyList<int> Before, IReadOnlyList<int> After) ReadTemplate(ConfigFile? processor)
    {
        foreach (var step in Steps(processor, "processors"))
        {
            switch (step.Text("type"))
            {
                case "ByteLevel": // moves offsets alone
                    break;
                case "TemplateProcessing":
                    string?[] template = [.. (step.Find("single") ?? throw Refused("has a template without 'single'")).EnumerateArray()
                        .Select(item => item.TryGetProperty("SpecialToken", out var token) ? token.GetProperty("id").GetString() : null)];
                    var text = Array.IndexOf(template, null);
                    return ([.. template[..text].Select(Special)], [.. template[(text + 1)..].Select(Special)]);
                case "RobertaProcessing" or "BertProcessing":
                    return ([Special(Pair("cls"))], [Special(Pair("sep"))]);
                case var type:
                    throw Refused($"has a post-processor of type {type}, which is not supported");
            }

            string? Pair(string key) => step.Find(key)!.Value[0].GetString();

            int Special(string? token) =>
                step.Section("special_tokens")?.Section(token!)?.Ids("ids") is [var id] ? id
                : Added.FirstOrDefault(added => added.Content == token)?.Id ?? _ids[token!];
        }
        return ([], []);
    }

    private IEnumerable<AddedToken> Tokens(ConfigFile file)
    {
        if (file.Find("added_tokens") is not { ValueKind: JsonValueKind.Array } tokens)
            yield break;
        foreach (var token in tokens.EnumerateArray())
        {
            bool Is(string key) => token.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;
            var content = token.GetProperty("content").GetString()!;
            if (Is("single_word"))
                throw Refused($"adds \"{content}\" as a single word, which is not supported");
            yield return new(content, token.GetProperty("id").GetInt32(), Is("special"), Is("lstrip"), Is("rstrip"));
        }
    }

    private Dictionary<string, int> Vocabulary(ConfigFile model) =>
        (model.Find("vocab") ?? throw Refused("has no vocabulary")).Deserialize<Dictionary<string, int>>()!;

    /// <summary>As lists of two, or, in older files, as one text with a space between.</summary>
    private List<(string Left, string Right)> ReadMerges(ConfigFile model) =>
        [.. (model.Find("merges") ?? throw Refused("has no merges")).EnumerateArray().Select(merge =>
        {
            var pair = merge.ValueKind == JsonValueKind.String ? merge.GetString()!.Split(' ') : [.. merge.EnumerateArray().Select(half => half.GetString()!)];
            return pair is [var left, var right] ? (left, right) : throw Refused($"has the merge {merge.GetRawText()}, which is no pair");
        })];

    private static string? Literal(ConfigFile step) => step.Section("pattern")?.Text("String");

    /// <summary>A step, or those of a sequence of them.</summary>
    private IEnumerable<ConfigFile> Steps(ConfigFile? step, string listName)
    {
        if (step is null)
            return [];
        if (step.Text("type") != "Sequence")
            return [step];
        var list = step.Find(listName) ?? throw Refused($"has a sequence without '{listName}'");
        return list.EnumerateArray().SelectMany(item => Steps(ConfigFile.Parse(Encoding.UTF8.GetBytes(item.GetRawText()), step.Name), listName));
    }

    private InvalidDataException Refused(string what) =>
        new($"{_path} {what}. Supported are byte-level BPE and BPE over characters, as Llama, Mistral, Qwen and SmolLM2 have them.");
}
