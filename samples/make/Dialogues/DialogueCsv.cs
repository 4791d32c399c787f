using CsvHelper;
using RlhfFunctions.Ml.Data;

namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>DialogSum's CSV layout: id, dialogue, summary, topic.</summary>
public static class DialogueCsv
{
    public static void Write(string path, IEnumerable<DialogueRow> rows)
    {
        using var csv = CsvWriter.ToFile(path, new CsvWriterOptions { NewLine = "\n", WriteByteOrderMark = false });
        csv.WriteRecord(["id", "dialogue", "summary", "topic"]);
        foreach (var row in rows)
            csv.WriteRecord([row.Id, row.Dialogue, row.Summary, row.Topic]);
    }
}
