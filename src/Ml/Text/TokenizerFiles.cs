using System.Text.Json;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// What the small JSON files beside a Hugging Face tokenizer say: <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c> and
/// <c>added_tokens.json</c>. All three are optional; the first that names a token wins, in this order.
/// </summary>
internal sealed class TokenizerFiles
{
    private readonly string _folder;
    private readonly JsonElement? _config;
    private readonly JsonElement? _specialTokens;
    private readonly JsonElement? _addedTokens;

    public TokenizerFiles(string folder)
    {
        _folder = folder;
        _config = ReadObject("tokenizer_config.json");
        _specialTokens = ReadObject("special_tokens_map.json");
        _addedTokens = ReadObject("added_tokens.json");
    }

    /// <summary>
    /// The most tokens the model takes, or null where the file is silent or holds Hugging Face's "no limit" (about 1e30).
    /// </summary>
    public int? MaxLength =>
        Find(_config, "model_max_length") is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var length) ? length : null;

    /// <summary>The text of a named token (<c>bos_token</c> …), or null where no file names it.</summary>
    public string? Name(string key) => Named(key) switch
    {
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        { ValueKind: JsonValueKind.Object } token => Find(token, "content")?.GetString(),
        _ => null,
    };

    /// <summary>The model's chat template, of several the one called "default"; null: it has none.</summary>
    public string? ChatTemplate => Find(_config, "chat_template") switch
    {
        { ValueKind: JsonValueKind.String } template => template.GetString(),
        { ValueKind: JsonValueKind.Array } several => several.EnumerateArray()
            .Where(one => Find(one, "name")?.GetString() == "default").Select(one => Find(one, "template")?.GetString()).FirstOrDefault(),
        _ => null,
    };

    /// <summary>Whether a named token takes the white space on its left, or null where no file says so.</summary>
    public bool? TakesSpaceLeft(string key) => Named(key) is { ValueKind: JsonValueKind.Object } token ? Flag(token, "lstrip") : null;

    /// <summary>The tokens that were added to the sub-word vocabulary, with their ids.</summary>
    public IEnumerable<AddedToken> Added()
    {
        if (Find(_config, "added_tokens_decoder") is { ValueKind: JsonValueKind.Object } decoder)
        {
            foreach (var entry in decoder.EnumerateObject())
            {
                if (!int.TryParse(entry.Name, out var id) || Find(entry.Value, "content")?.GetString() is not { Length: > 0 } content)
                    throw Malformed("tokenizer_config.json", $"added_tokens_decoder entry \"{entry.Name}\" is not an id with a \"content\"");
                yield return new(content, id, Flag(entry.Value, "special"), Flag(entry.Value, "lstrip"), Flag(entry.Value, "rstrip"));
            }
        }
        else if (_addedTokens is { } added)
        {
            foreach (var entry in added.EnumerateObject())
            {
                if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id) || entry.Name.Length == 0)
                    throw Malformed("added_tokens.json", $"entry \"{entry.Name}\" is not a token with an id");
                yield return new(entry.Name, id);
            }
        }
    }

    private JsonElement? Named(string key) =>
        Find(_config, key) is { ValueKind: not JsonValueKind.Null } named ? named : Find(_specialTokens, key);

    private JsonElement? ReadObject(string file)
    {
        var path = Path.Combine(_folder, file);
        if (!File.Exists(path))
            return null;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw Malformed(file, "its root is not an object");
            return document.RootElement.Clone();
        }
        catch (JsonException broken)
        {
            throw Malformed(file, broken.Message);
        }
    }

    private InvalidDataException Malformed(string file, string why) =>
        new($"{Path.Combine(_folder, file)}: {why}. Take the file from the model's own repository.");

    private static JsonElement? Find(JsonElement? parent, string key) =>
        parent is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(key, out var value) ? value : null;

    private static bool Flag(JsonElement parent, string key) => Find(parent, key) is { ValueKind: JsonValueKind.True };
}
