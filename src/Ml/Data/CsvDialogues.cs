using System.Text.Unicode;
using CsvHelper;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Data;

/// <summary>Dialogues from CSV with a header (RFC 4180: commas, quotes doubled inside quotes, line breaks kept inside quotes).</summary>
internal static class CsvDialogues
{
    /// <param name="stream">The file.</param>
    /// <param name="name">Its name, for errors.</param>
    /// <param name="columns">Where the fields are.</param>
    /// <param name="mostRows">A file of more rows is refused.</param>
    /// <param name="onBroken">Told of each row that is broken; may throw, or let the rest be read.</param>
    public static List<NumberedDialogue> Read(
        Stream stream, string name, DialogueColumns columns, int mostRows, Action<int, InvalidDataException> onBroken)
    {
        var row = 0;
        var options = new CsvReaderOptions
        {
            Separator = ',', // detection could take a file of one column of texts apart at their semicolons
            MalformedData = CsvMalformedDataHandling.Skip,
            FieldCountMismatch = CsvFieldCountHandling.Skip,
            TrackLineNumbers = true,
            OnMalformedRecord = record =>
            {
                var isHeader = record.RecordNumber == 1;
                var broken = DialogueReader.Broken(name, isHeader ? 0 : ++row, record.LineNumber, $"is malformed: {Describe(record.Reason)}");
                if (isHeader)
                    throw broken; // without it no row can be read
                onBroken(row, broken);
            },
        };
        using var reader = CsvReader.Create(stream, options, leaveOpen: true);
        var header = reader.Headers;
        if (!reader.TryGetFieldIndex(columns.Dialogue, out var dialogueColumn))
            throw new InvalidDataException(
                $"{name} has no column \"{columns.Dialogue}\". Found: {string.Join(", ", header)}. "
                + $"Expected: {columns.Id}, {columns.Dialogue}, {columns.Summary}, {columns.Topic}, of which only {columns.Dialogue} must exist. "
                + "Name the file's own columns in the request, or check that commas separate them.");

        var rows = new List<NumberedDialogue>();
        while (reader.Read())
        {
            row++;
            if (row > mostRows)
                throw DialogueReader.TooLong(name, mostRows);
            var dialogue = reader.GetString(dialogueColumn);
            if (!Utf8.IsValid(reader.RawRecord))
                onBroken(row, DialogueReader.Broken(name, row, reader.LineNumber, DialogueReader.NotUtf8));
            else if (string.IsNullOrWhiteSpace(dialogue))
                onBroken(row, DialogueReader.Broken(name, row, reader.LineNumber, $"has no {columns.Dialogue}. Fill it in or delete the row."));
            else
                rows.Add(new(row, new(
                    Optional(columns.Id) ?? DialogueReader.NumberedId(name, row), dialogue, Optional(columns.Summary) ?? "", Optional(columns.Topic) ?? "")));
        }
        return rows;

        string? Optional(string column) => reader.TryGetFieldIndex(column, out var index) ? reader.GetString(index) : null;
    }

    private static string Describe(CsvMalformedReason reason) => reason switch
    {
        CsvMalformedReason.FieldCountMismatch => "it has more or fewer fields than the header. Put fields with commas or line breaks in quotes.",
        CsvMalformedReason.UnterminatedQuote => "a quote is opened and never closed, so that it runs to the end of the file. Close it, or write \"\" for a quote inside of quotes.",
        _ => "it has a quote inside of a field. Put the whole field in quotes, and write \"\" for a quote inside them.",
    };
}
