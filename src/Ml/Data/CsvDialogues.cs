using System.Text.Unicode;
using CsvHelper;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Data;

/// <summary>Dialogues from CSV with a header (RFC 4180: commas, quotes doubled inside quotes, line breaks kept inside quotes).</summary>
internal static class CsvDialogues
{
    private static readonly CsvReaderOptions Options = new()
    {
        Separator = ',', // detection could take a file of one column of texts apart at their semicolons
        MalformedData = CsvMalformedDataHandling.Throw,
        FieldCountMismatch = CsvFieldCountHandling.Throw,
        TrackLineNumbers = true,
    };

    public static List<DialogueRow> Read(Stream stream, string name, DialogueColumns columns, int mostRows)
    {
        using var reader = CsvReader.Create(stream, Options, leaveOpen: true);
        try
        {
            return ReadRows(reader, name, columns, mostRows);
        }
        catch (CsvFormatException broken)
        {
            // The library counts the header as the first record.
            throw DialogueReader.Broken(
                name, (int)broken.RecordNumber - 1, (int)broken.LineNumber,
                $"is malformed: {broken.Message} Put fields with commas, quotes or line breaks in quotes, and write \"\" for a quote inside them.", broken);
        }
    }

    private static List<DialogueRow> ReadRows(CsvReader reader, string name, DialogueColumns columns, int mostRows)
    {
        var header = reader.Headers;
        if (!reader.TryGetFieldIndex(columns.Dialogue, out var dialogueColumn))
            throw new InvalidDataException(
                $"{name} has no column \"{columns.Dialogue}\". Found: {string.Join(", ", header)}. "
                + $"Expected: {columns.Id}, {columns.Dialogue}, {columns.Summary}, {columns.Topic}, of which only {columns.Dialogue} must exist. "
                + "Name the file's own columns in the request, or check that commas separate them.");

        var rows = new List<DialogueRow>();
        while (reader.Read())
        {
            var row = rows.Count + 1;
            if (row > mostRows)
                throw DialogueReader.TooLong(name, mostRows);
            if (!Utf8.IsValid(reader.RawRecord))
                throw DialogueReader.Broken(name, row, reader.LineNumber, DialogueReader.NotUtf8);
            var dialogue = reader.GetString(dialogueColumn);
            if (string.IsNullOrWhiteSpace(dialogue))
                throw DialogueReader.Broken(name, row, reader.LineNumber, $"has no {columns.Dialogue}. Fill it in or delete the row.");
            rows.Add(new(
                Optional(columns.Id) ?? DialogueReader.NumberedId(name, row), dialogue, Optional(columns.Summary) ?? "", Optional(columns.Topic) ?? ""));
        }
        return rows;

        string? Optional(string column) => reader.TryGetFieldIndex(column, out var index) ? reader.GetString(index) : null;
    }
}
