using System.Text;
using System.Text.Json;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Data;

/// <summary>Two responses to a prompt, of which one is preferred; texts as a model reads and writes them.</summary>
/// <param name="Id">Names the row within its file.</param>
/// <param name="Prompt">What is answered.</param>
/// <param name="Chosen">The better response.</param>
/// <param name="Rejected">The worse one.</param>
public sealed record PreferenceRow(string Id, string Prompt, string Chosen, string Rejected)
{
    /// <summary>Whether a chat template wrote the texts, their begin token and the end of the last turn included.</summary>
    public bool IsChat { get; init; }
}

/// <summary>
/// Reads preferences from JSON Lines as the field writes them: <c>prompt</c>, <c>chosen</c> and <c>rejected</c>, each a text or a
/// conversation, a list of <c>role</c> and <c>content</c>. Where there is no prompt, it is what both conversations begin with. A broken
/// file is refused with the file's name, the row counted from 1, the line it stands on, and what to do.
/// </summary>
public static class PreferenceReader
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a file from a stream, which stays open.</summary>
    /// <param name="stream">The file's bytes, UTF-8 with or without a byte order mark.</param>
    /// <param name="name">The file's name, for errors.</param>
    /// <param name="firstRows">How many rows to take from its start.</param>
    /// <param name="chat">Writes conversations as the model reads them; null: it knows none, and they are refused.</param>
    /// <exception cref="InvalidDataException">The file is broken or empty; the message says where.</exception>
    public static IReadOnlyList<PreferenceRow> Read(Stream stream, string name, int firstRows, ChatTemplate? chat = null)
    {
        using var reader = new StreamReader(stream, Strict, detectEncodingFromByteOrderMarks: true, leaveOpen: true);
        var rows = new List<PreferenceRow>();
        var line = 0;
        try
        {
            while (rows.Count < firstRows && reader.ReadLine() is { } text)
            {
                line++;
                if (!string.IsNullOrWhiteSpace(text))
                    rows.Add(Row(text, DialogueReader.NumberedId(name, rows.Count + 1), chat));
            }
        }
        catch (DecoderFallbackException broken)
        {
            throw DialogueReader.Broken(name, rows.Count + 1, line + 1, DialogueReader.NotUtf8, broken);
        }
        catch (JsonException broken)
        {
            throw DialogueReader.Broken(name, rows.Count + 1, line, $"is not JSON: {broken.Message} Write one object a line.", broken);
        }
        catch (FieldException broken)
        {
            throw DialogueReader.Broken(name, rows.Count + 1, line, broken.Message, broken);
        }
        return rows.Count > 0 ? rows : throw new InvalidDataException($"{name} holds no preferences.");
    }

    private static PreferenceRow Row(string text, string id, ChatTemplate? chat)
    {
        using var document = JsonDocument.Parse(text);
        var fields = document.RootElement;
        if (fields.ValueKind != JsonValueKind.Object)
            throw new FieldException("is not a JSON object. Write one object a line.");
        var (chosen, rejected) = (Field("chosen"), Field("rejected"));
        var hasPrompt = fields.TryGetProperty("prompt", out var prompt) && prompt.ValueKind != JsonValueKind.Null;
        if (!hasPrompt && (chosen.ValueKind != JsonValueKind.Array || rejected.ValueKind != JsonValueKind.Array))
            throw new FieldException("has no prompt. Fill it in; only conversations may begin with it instead.");

        var row = (chosen.ValueKind, rejected.ValueKind, hasPrompt ? prompt.ValueKind : JsonValueKind.Undefined) switch
        {
            (JsonValueKind.String, JsonValueKind.String, JsonValueKind.String) =>
                new PreferenceRow(id, prompt.GetString()!, chosen.GetString()!, rejected.GetString()!),
            (JsonValueKind.Array, JsonValueKind.Array, JsonValueKind.Array) => Conversation(id, chat, Turns(prompt), Turns(chosen), Turns(rejected)),
            (JsonValueKind.Array, JsonValueKind.Array, JsonValueKind.Undefined) => Conversation(id, chat, [], Turns(chosen), Turns(rejected)),
            _ => throw new FieldException("mixes texts and conversations. Write prompt, chosen and rejected all as texts, or all as lists of role and content."),
        };
        if (row.Chosen == row.Rejected)
            throw new FieldException("prefers a response to itself. Delete the row.");
        return row;

        JsonElement Field(string field) => fields.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null
            ? value
            : throw new FieldException($"has no {field}. Found: {string.Join(", ", fields.EnumerateObject().Select(found => found.Name))}. Fill it in.");
    }

    private static PreferenceRow Conversation(string id, ChatTemplate? chat, ChatMessage[] prompt, ChatMessage[] chosen, ChatMessage[] rejected)
    {
        var shared = chosen.Zip(rejected).TakeWhile(turns => turns.First == turns.Second).Count();
        if (chosen.Length - shared != 1 || rejected.Length - shared != 1 || chosen[^1].Role != "assistant" || rejected[^1].Role != "assistant")
            throw new FieldException("has conversations that do not end in one different turn each. Let both share all turns but the assistant's last.");
        if (prompt.Length + shared == 0)
            throw new FieldException("has no prompt. Fill it in, or let both conversations begin with it.");
        if (chat is null)
            throw new FieldException("is a conversation, and the model has no chat template. Take the model's chat version, or write prompt, chosen and rejected as texts.");
        ChatMessage[] before = [.. prompt, .. chosen.Take(shared)];
        var asked = chat.Render(before);
        return new(id, asked, Answer(chosen[^1]), Answer(rejected[^1])) { IsChat = true };

        string Answer(ChatMessage turn)
        {
            var whole = chat.Render([.. before, turn], addGenerationPrompt: false);
            return whole.StartsWith(asked, StringComparison.Ordinal)
                ? whole[asked.Length..]
                : throw new FieldException("is written by the model's chat template so that the question reads differently once it is answered. Write prompt, chosen and rejected as texts.");
        }
    }

    private static ChatMessage[] Turns(JsonElement list) => [.. list.EnumerateArray().Select(turn =>
        turn.ValueKind == JsonValueKind.Object && Text(turn, "role") is { } role && Text(turn, "content") is { } content
            ? new ChatMessage(role, content)
            : throw new FieldException("has a turn without role or content. Write each as {\"role\": …, \"content\": …}, both texts."))];

    private static string? Text(JsonElement turn, string field) =>
        turn.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>What is wrong with a line; the caller adds which line it is.</summary>
    private sealed class FieldException(string what) : Exception(what);
}
