using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Data;

/// <summary>Dialogues from JSON Lines: one object a line, blank lines ignored.</summary>
internal static class JsonLinesDialogues
{
    public static List<DialogueRow> Read(Stream stream, string name, DialogueColumns columns, int mostRows)
    {
        using var file = new MemoryStream();
        stream.CopyTo(file);
        var bytes = file.GetBuffer().AsMemory(0, (int)file.Length);
        if (bytes.Span.StartsWith(Encoding.UTF8.Preamble))
            bytes = bytes[Encoding.UTF8.Preamble.Length..];

        var rows = new List<DialogueRow>();
        var (row, line) = (0, 0);
        foreach (var range in bytes.Span.Split((byte)'\n'))
        {
            line++;
            if (bytes.Span[range].Trim(" \t\r"u8).IsEmpty)
                continue;
            row++;
            if (rows.Count >= mostRows)
                throw DialogueReader.TooLong(name, mostRows);
            if (!Utf8.IsValid(bytes.Span[range]))
                throw DialogueReader.Broken(name, row, line, DialogueReader.NotUtf8);
            try
            {
                using var fields = JsonDocument.Parse(bytes[range]);
                rows.AddRange(Rows(fields.RootElement, columns, DialogueReader.NumberedId(name, row)));
            }
            catch (JsonException broken)
            {
                throw DialogueReader.Broken(name, row, line, $"is not JSON: {broken.Message} Write one object a line.", broken);
            }
            catch (FieldException broken)
            {
                throw DialogueReader.Broken(name, row, line, broken.Message, broken);
            }
        }
        return rows;
    }

    private static IEnumerable<DialogueRow> Rows(JsonElement fields, DialogueColumns columns, string numberedId)
    {
        if (fields.ValueKind != JsonValueKind.Object)
            throw new FieldException("is not a JSON object. Write one object a line.");
        var dialogue = Text(columns.Dialogue);
        if (string.IsNullOrWhiteSpace(dialogue))
            throw new FieldException(
                $"has no {columns.Dialogue}. Found: {string.Join(", ", fields.EnumerateObject().Select(field => field.Name))}. "
                + "Fill it in, or name the file's own fields in the request.");

        // The authors of DialogSum call the id fname, and give a test dialogue three summaries, each with a topic.
        var id = Text(columns.Id) ?? Text("fname") ?? numberedId;
        if (Text(columns.Summary) is not null || Text($"{columns.Summary}1") is null)
            yield return new(id, dialogue, Text(columns.Summary) ?? "", Text(columns.Topic) ?? "");
        else
            for (var i = 1; Text($"{columns.Summary}{i}") is { } summary; i++)
                yield return new($"{id}_{i}", dialogue, summary, Text($"{columns.Topic}{i}") ?? "");

        string? Text(string name)
        {
            if (!fields.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
                return null;
            return value.ValueKind == JsonValueKind.String ? value.GetString() : throw new FieldException($"has no text as \"{name}\". Write it as a string.");
        }
    }

    /// <summary>What is wrong with a line; the caller adds which line it is.</summary>
    private sealed class FieldException(string what) : Exception(what);
}
