using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Export;

/// <summary>A model's tokenizer as llama.cpp wants to be told of it.</summary>
internal static class GgufVocabulary
{
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    /// <summary>llama.cpp knows how texts are cut by name only. {0} is what a number is.</summary>
    private const string Gpt4Words = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|{0}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly (string Name, string[] Patterns)[] Known =
    [
        ("llama-bpe", [Gpt4Words.Replace("{0}", @"\p{N}{1,3}", StringComparison.Ordinal)]),
        ("qwen2", [Gpt4Words.Replace("{0}", @"\p{N}", StringComparison.Ordinal)]),
        ("smollm", [@"\p{N}", TokenizerJson.Gpt2Words]),
        ("gpt-2", [TokenizerJson.Gpt2Words]),
    ];

    /// <summary>The facts under <c>tokenizer.</c></summary>
    /// <param name="folder">The model's.</param>
    /// <param name="size">Rows of its embedding; those that no token has are marked as unused.</param>
    /// <exception cref="InvalidDataException">A file is missing or broken, or llama.cpp knows no such tokenizer.</exception>
    public static Dictionary<string, object> Read(string folder, int size)
    {
        var text = LlamaText.FromFolder(folder); // checks the files, and knows the special ids
        var files = new TokenizerFiles(folder);
        var jsonPath = Path.Combine(folder, TokenizerJson.FileName);
        var json = File.Exists(jsonPath) ? TokenizerJson.Read(jsonPath) : null;
        var model = json is null ? SentencePieceModel.Read(Path.Combine(folder, "tokenizer.model")) : null;

        var (tokens, types) = Tokens(json?.Ids ?? model!.Ids, json?.Added ?? [], files, json?.UnknownToken ?? "<unk>", json?.IsByteLevel == true, size);
        var facts = new Dictionary<string, object>
        {
            ["tokenizer.ggml.model"] = json?.IsByteLevel == true ? "gpt2" : "llama",
            ["tokenizer.ggml.tokens"] = tokens,
            ["tokenizer.ggml.token_type"] = types,
            ["tokenizer.ggml.eos_token_id"] = (uint)text.EosId,
            ["tokenizer.ggml.padding_token_id"] = (uint)text.PadId,
            ["tokenizer.ggml.add_bos_token"] = text.BosId is not null,
            ["tokenizer.ggml.add_eos_token"] = false,
        };
        if (text.BosId is { } begin)
            facts["tokenizer.ggml.bos_token_id"] = (uint)begin;
        if (Array.IndexOf(types, Unknown) is >= 0 and var unknown)
            facts["tokenizer.ggml.unknown_token_id"] = (uint)unknown;
        if (ChatTemplate.SourceIn(folder) is { } template)
            facts["tokenizer.chat_template"] = template;
        if (json?.IsByteLevel == true)
        {
            facts["tokenizer.ggml.pre"] = Cuts(json, jsonPath);
            facts["tokenizer.ggml.merges"] = json.Merges.Select(merge => $"{merge.Left} {merge.Right}").ToArray();
        }
        else
        {
            facts["tokenizer.ggml.pre"] = "default";
            facts["tokenizer.ggml.scores"] = json is null ? Filled(model!.Scores, size) : Scores(json, size);
            facts["tokenizer.ggml.add_space_prefix"] = json is null || json.PutsSpaceInFront;
        }
        return facts;
    }

    private static (string[] Tokens, int[] Types) Tokens(
        IReadOnlyDictionary<string, int> ids, IReadOnlyList<AddedToken> own, TokenizerFiles files, string unknown, bool isByteLevel, int size)
    {
        string[] tokens = [.. Enumerable.Range(0, size).Select(id => $"[PAD{id}]")];
        var types = Enumerable.Repeat(Unused, size).ToArray();
        foreach (var (piece, id) in ids.Where(piece => piece.Value < size))
            (tokens[id], types[id]) = (piece, piece == unknown ? Unknown : !isByteLevel && piece is ['<', '0', 'x', _, _, '>'] ? Byte : Normal);
        var named = new[] { ("bos_token", "<s>"), ("eos_token", "</s>") }.Select(name => files.Name(name.Item1) ?? name.Item2)
            .Where(ids.ContainsKey).Select(content => new AddedToken(content, ids[content]));
        foreach (var token in named.Concat(files.Added()).Concat(own).Where(token => token.Id < size && types[token.Id] != Unknown))
            (tokens[token.Id], types[token.Id]) = (token.Content, token.IsSpecial ? Control : UserDefined);
        return (tokens, types);
    }

    /// <summary>Better merges have higher scores: what the first merge that makes a token ranks decides.</summary>
    private static float[] Scores(TokenizerJson json, int size)
    {
        var scores = Enumerable.Repeat(-(float)json.Merges.Count, size).ToArray();
        foreach (var (id, rank) in json.Merges.Select((merge, rank) => (json.Ids[merge.Left + merge.Right], rank)).Reverse())
            if (id < size)
                scores[id] = -rank;
        return scores;
    }

    private static float[] Filled(IReadOnlyList<float> scores, int size) =>
        [.. scores.Take(size), .. Enumerable.Repeat(-1e4f, Math.Max(0, size - scores.Count))];

    private static string Cuts(TokenizerJson json, string path)
    {
        var patterns = json.Patterns.ToArray();
        return Known.FirstOrDefault(known => known.Patterns.SequenceEqual(patterns)).Name ?? throw new InvalidDataException(
            $"{path} cuts texts by {string.Join(" and ", patterns)}, which llama.cpp has no name for here: export as safetensors, and convert that with llama.cpp's own tool.");
    }
}
