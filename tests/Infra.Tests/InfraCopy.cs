namespace RlhfFunctions.Infra.Tests;

/// <summary>A copy of infra/bicep, and of the host.json that it reads, to write into.</summary>
internal sealed class InfraCopy : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("rlhf-infra-").FullName;

    public InfraCopy()
    {
        File.Copy(Repository.Path("host.json"), Path.Combine(_root, "host.json"));
        string source = Repository.Path("infra", "bicep");
        foreach (string file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(Folder, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    public string Folder => Path.Combine(_root, "infra", "bicep");

    /// <summary>Replaces the first of what must be there.</summary>
    public void Replace(string file, string from, string to)
    {
        string path = Path.Combine(Folder, file);
        string text = File.ReadAllText(path);
        int place = text.IndexOf(from, StringComparison.Ordinal);
        if (place < 0) throw new InvalidOperationException($"{file} has no \"{from}\".");
        File.WriteAllText(path, text[..place] + to + text[(place + from.Length)..]);
    }

    public void Dispose()
    {
        Directory.Delete(_root, recursive: true);
    }
}
