using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;

namespace RlhfFunctions.Ml.Tests.Data;

public class DialogueReaderTests
{
    [Fact]
    public void Csv_keeps_quotes_commas_line_breaks_and_spaces()
    {
        var rows = Read("a.csv", "id,dialogue,summary,topic\nx_0,\"#Person1#: \"\"Hi\"\", he said\n#Person2#: Bye \",Short.,talk\nx_1, b ,,\n");
        Assert.Equal(
            [new("x_0", "#Person1#: \"Hi\", he said\n#Person2#: Bye ", "Short.", "talk"), new DialogueRow("x_1", " b ", "", "")], rows);
    }

    [Fact]
    public void Other_columns_are_found_by_name_and_rows_without_an_id_are_numbered()
    {
        var columns = new DialogueColumns { Dialogue = "text" };
        Assert.Equal([new("mine_1", "b", "", ""), new("mine_2", "d", "", "")], Read("folder/mine.csv", "\uFEFFlabel,text\r\na,b\r\nc,d", columns));
        Assert.Equal([new("mine_1", "b", "", "")], Read("folder/mine.jsonl", "\uFEFF{\"label\": 1, \"text\": \"b\"}\r\n", columns));
    }

    [Fact]
    public void The_original_files_give_a_row_for_each_summary()
    {
        var rows = Read("dialogsum.test.jsonl", """
            {"fname": "test_0", "dialogue": "a", "summary1": "p", "topic1": "t", "summary2": "q", "topic2": "u", "summary3": "r", "topic3": "v"}

            {"fname": "train_7", "dialogue": "b", "summary": "s", "topic": "w"}
            """);
        Assert.Equal([new("test_0_1", "a", "p", "t"), new("test_0_2", "a", "q", "u"), new("test_0_3", "a", "r", "v"), new("train_7", "b", "s", "w")], rows);
    }

    [Theory]
    [InlineData("a.csv", "", "no column \"dialogue\"")]
    [InlineData("a.csv", "id,dialogue\n", "a.csv holds no rows")]
    [InlineData("a.csv", "id;dialogue\nx;y\n", "Found: id;dialogue. Expected: id, dialogue, summary, topic")]
    [InlineData("a.csv", "id,dialogue\nx,\"two\nlines\"\ny,\n", "row 2 (line 4) has no dialogue")]
    [InlineData("a.csv", "id,dialogue\nx,y\nz,he said \"no\"\n", "row 2 (line 3) is malformed")]
    [InlineData("a.csv", "id,dialogue\nx,y\nz,\"open\nand open\n", "row 2 (line 3) is malformed")]
    [InlineData("a.csv", "id,dialogue\nx,y,z\n", "row 1 (line 2) is malformed")]
    [InlineData("a.csv", "id,\"dialogue\nx,y\n", "the header (line 1) is malformed")]
    [InlineData("a.csv", "id,dialogue\nx,y\nz,caf\u00FF\n", "row 2 (line 3) has bytes that are not UTF-8")]
    [InlineData("a.jsonl", "", "a.jsonl holds no rows")]
    [InlineData("a.jsonl", "{\"dialogue\": \"x\"}\n\n{\"dialogue\"\n", "row 2 (line 3) is not JSON")]
    [InlineData("a.jsonl", "[]", "row 1 (line 1) is not a JSON object")]
    [InlineData("a.jsonl", "{\"text\": \"x\"}", "row 1 (line 1) has no dialogue. Found: text")]
    [InlineData("a.jsonl", "{\"dialogue\": \" \"}", "row 1 (line 1) has no dialogue")]
    [InlineData("a.jsonl", "{\"dialogue\": 3}", "row 1 (line 1) has no text as \"dialogue\"")]
    [InlineData("a.jsonl", "{\"dialogue\": \"caf\u00FF\"}", "row 1 (line 1) has bytes that are not UTF-8")]
    [InlineData("a.parquet", "PAR1", "cannot tell the format from \".parquet\"")]
    public void A_broken_file_is_refused_with_its_place(string name, string content, string message)
    {
        // Latin-1, so that ÿ arrives as a byte that is no UTF-8.
        using var stream = new MemoryStream(Encoding.Latin1.GetBytes(content));
        var failure = Assert.Throws<InvalidDataException>(() => DialogueReader.Read(stream, name));
        Assert.StartsWith(name, failure.Message, StringComparison.Ordinal);
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_has_three_parts()
    {
        var samples = DialogueReader.ReadFolder(RepositoryRoot.Path("samples/dialogues"));
        Assert.All([samples.Train, samples.Validation, samples.Test], Assert.NotEmpty);

        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.Path("dialogsum.train.jsonl"), "{\"dialogue\": \"a\"}");
        File.WriteAllText(folder.Path("test.csv"), "dialogue\nb");
        var failure = Assert.Throws<InvalidDataException>(() => DialogueReader.ReadFolder(folder.Root));
        Assert.Contains("none of validation.csv, validation.jsonl", failure.Message, StringComparison.Ordinal);
        File.WriteAllText(folder.Path("dialogsum.dev.jsonl"), "{\"dialogue\": \"c\"}");
        var splits = DialogueReader.ReadFolder(folder.Root);
        Assert.Equal(("a", "c", "b"), (splits.Train[0].Dialogue, splits.Validation[0].Dialogue, splits.Test[0].Dialogue));
    }

    [Fact]
    public void The_stream_stays_open()
    {
        using var stream = new MemoryStream("dialogue\na"u8.ToArray());
        DialogueReader.Read(stream, "a.csv");
        Assert.True(stream.CanRead);
    }

    private static IReadOnlyList<DialogueRow> Read(string name, string content, DialogueColumns? columns = null)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(content));
        return DialogueReader.Read(stream, name, columns);
    }
}
