using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Data;

/// <summary>The three parts of a data set.</summary>
/// <param name="Train">Rows to learn from.</param>
/// <param name="Validation">Rows to choose settings by.</param>
/// <param name="Test">Rows for the final measurement only.</param>
public sealed record DialogueSplits(IReadOnlyList<DialogueRow> Train, IReadOnlyList<DialogueRow> Validation, IReadOnlyList<DialogueRow> Test);

/// <summary>
/// Reads dialogues from CSV (DialogSum as Hugging Face publishes it, or any file with a column of texts) and JSON Lines (DialogSum as
/// its authors publish it: <c>fname</c> names a row, and <c>summary1</c> to <c>summary3</c> make three rows of one). A broken file is
/// refused with the file's name, the data row counted from 1, the line it starts on, and what to do.
/// </summary>
public static class DialogueReader
{
    /// <summary>Reads one file; its extension says which format it has.</summary>
    /// <exception cref="InvalidDataException">The file is broken, empty, or lacks the column; the message says where.</exception>
    public static IReadOnlyList<DialogueRow> ReadFile(string path, DialogueColumns? columns = null)
    {
        using var stream = File.OpenRead(path);
        return Read(stream, path, columns);
    }

    /// <summary>Reads one file from a stream, such as a blob's. The stream stays open.</summary>
    /// <param name="stream">The file's bytes, UTF-8 with or without a byte order mark. It is read to its end.</param>
    /// <param name="name">The file's name: its extension says which format it has, and errors name it.</param>
    /// <param name="columns">Where the fields are; DialogSum's columns where null.</param>
    /// <param name="mostRows">A file of more rows is refused.</param>
    /// <exception cref="InvalidDataException">The file is broken, empty, too long, or lacks the column; the message says where.</exception>
    public static IReadOnlyList<DialogueRow> Read(Stream stream, string name, DialogueColumns? columns = null, int mostRows = int.MaxValue)
    {
        columns ??= new DialogueColumns();
        var extension = Path.GetExtension(name);
        var rows = extension.ToUpperInvariant() switch
        {
            ".CSV" => CsvDialogues.Read(stream, name, columns, mostRows),
            ".JSONL" => JsonLinesDialogues.Read(stream, name, columns, mostRows),
            _ => throw new InvalidDataException($"{name}: cannot tell the format from \"{extension}\". Use .csv or .jsonl."),
        };
        return rows.Count > 0 ? rows : throw new InvalidDataException($"{name} holds no rows.");
    }

    /// <summary>
    /// Reads <c>train</c>, <c>validation</c> (or <c>dev</c>) and <c>test</c>, each .csv or .jsonl, with or without the prefix
    /// <c>dialogsum.</c> of the original files.
    /// </summary>
    /// <exception cref="InvalidDataException">A part is missing or broken; the message says which.</exception>
    public static DialogueSplits ReadFolder(string folder, DialogueColumns? columns = null)
    {
        return new(Part("train"), Part("validation"), Part("test"));

        IReadOnlyList<DialogueRow> Part(string part) => FindPart(folder, part) is { } path
            ? ReadFile(path, columns)
            : throw new InvalidDataException($"{folder} has none of {string.Join(", ", FilesOf(part))}.");
    }

    /// <summary>The path of a folder's file that holds a part of the data (train, validation or test), or null where there is none.</summary>
    public static string? FindPart(string folder, string part) =>
        FilesOf(part).Select(file => Path.Combine(folder, file)).FirstOrDefault(File.Exists);

    private static IEnumerable<string> FilesOf(string part) =>
        from name in part == "validation" ? (string[])[part, "dev"] : [part]
        from prefix in (string[])["", "dialogsum."]
        from extension in (string[])["csv", "jsonl"]
        select $"{prefix}{name}.{extension}";

    internal const string NotUtf8 = "has bytes that are not UTF-8. Save the file as UTF-8; it may be Windows-1252.";

    /// <summary>The error of a file of more rows than are taken.</summary>
    internal static InvalidDataException TooLong(string name, int mostRows) =>
        new($"{name} has more than the {mostRows} rows that are taken. Cut it to those the run needs.");

    /// <summary>The error of a data row; rows and lines are counted from 1, row 0 is the header.</summary>
    internal static InvalidDataException Broken(string name, int row, long line, string what, Exception? cause = null) =>
        new($"{name}: {(row > 0 ? $"row {row}" : "the header")} (line {line}) {what}", cause);

    /// <summary>What a row is called in a file that names none.</summary>
    internal static string NumberedId(string name, int row) => $"{Path.GetFileNameWithoutExtension(name)}_{row}";
}
