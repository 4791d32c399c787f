using RlhfFunctions.Contracts;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Sources;

/// <summary>file: sources stay in the folders that the settings give.</summary>
public sealed class ReadableFoldersTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-folders-").FullName;
    private readonly string _root;
    private readonly string _secret;

    public ReadableFoldersTests()
    {
        _root = Directory.CreateDirectory(Path.Combine(_folder, "root")).FullName;
        _secret = Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "root-secret")).FullName, "train.csv");
        File.WriteAllText(_secret, "id,dialogue\n");
        File.WriteAllText(Path.Combine(_root, "mine.csv"), "id,dialogue\n");
        Directory.CreateSymbolicLink(Path.Combine(_root, "out"), Path.GetDirectoryName(_secret)!);
        Directory.CreateSymbolicLink(Path.Combine(_root, "in"), _root);
        File.CreateSymbolicLink(Path.Combine(_root, "out.csv"), "../root-secret/train.csv");
        File.CreateSymbolicLink(Path.Combine(_root, "round.csv"), "round.csv");
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("/etc/no-such-file")]
    [InlineData("../root-secret/train.csv")]
    [InlineData("../root-secret/nothing.csv")]
    [InlineData("out/train.csv")]
    [InlineData("out/nothing.csv")]
    [InlineData("out/../out/train.csv")]
    [InlineData("in/in/out.csv")]
    [InlineData("out.csv")]
    [InlineData("round.csv")]
    [InlineData("mine.csv\0/../../etc/passwd")]
    public void What_lies_outside_gets_one_answer_whether_it_is_there_or_not(string path)
    {
        var source = new FileSource(path);
        var error = Assert.Throws<InvalidInputException>(() => new ReadableFolders(_root).PathOf(source));
        Assert.Equal(
            Assert.Throws<InvalidInputException>(() => new ReadableFolders(_root).PathOf(new FileSource("/x"))).Message.Replace("file:/x", $"{source}", StringComparison.Ordinal),
            error.Message);
        Assert.DoesNotContain(_folder, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_lies_inside_is_found_also_by_links_that_stay_there()
    {
        var folders = new ReadableFolders(_root);
        string mine = folders.PathOf(new FileSource("mine.csv"));
        Assert.True(File.Exists(mine));
        Assert.Equal(mine, folders.PathOf(new FileSource("in/in/mine.csv")));
        Assert.Equal(mine, folders.PathOf(new FileSource(Path.Combine(_root, "mine.csv"))));
        Assert.False(File.Exists(folders.PathOf(new FileSource("nothing.csv"))));
        Assert.Equal(["mine.csv"], folders.FilesIn(_root).Order());
    }

    [Fact]
    public void Without_settings_only_the_samples_of_the_app_are_read_and_others_by_setting()
    {
        var none = new ReadableFolders(start: null);
        Assert.EndsWith("samples/demo.json", none.PathOf(new FileSource("samples/demo.json")), StringComparison.Ordinal);
        Assert.Throws<InvalidInputException>(() => none.PathOf(new FileSource("host.json")));
        Assert.Throws<InvalidInputException>(() => none.PathOf(new FileSource(_secret)));

        var others = new ReadableFolders(_root, $"/nowhere{Path.PathSeparator}{Path.GetDirectoryName(_secret)}");
        Assert.True(File.Exists(others.PathOf(new FileSource(_secret))));
        Assert.True(File.Exists(others.PathOf(new FileSource("out/train.csv"))));
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }
}
