namespace RlhfFunctions.Ml.Tests;

/// <summary>A folder of its own for a test, gone afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlhf-test-");

    public string Path => _folder.FullName;

    public string Write(string name, string text)
    {
        File.WriteAllText(System.IO.Path.Combine(Path, name), text);
        return Path;
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
