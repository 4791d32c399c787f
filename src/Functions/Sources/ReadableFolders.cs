using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>
/// The folders that <c>file:</c> sources may read: those of the settings, and the samples that travel with the app. Whatever lies
/// elsewhere, also behind a link, gets one and the same answer, whether it is there or not.
/// </summary>
public sealed class ReadableFolders
{
    private const int MostLinks = 32;

    private readonly string _start;
    private readonly string[] _roots;

    /// <param name="start">Where relative paths start; readable itself. Null: the app's folder, of which only samples/ is readable.</param>
    /// <param name="others">Further folders, as the system separates those of PATH.</param>
    public ReadableFolders(string? start, string? others = null)
    {
        _start = Path.GetFullPath(start ?? AppContext.BaseDirectory);
        string[] named = [.. (others ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        string samples = Path.Combine(AppContext.BaseDirectory, "samples");
        _roots = [.. named.Append(samples).Concat(start is null ? [] : [_start]).Select(root => Follow(Path.GetFullPath(root)))];
    }

    /// <summary>The absolute path of a source, links followed.</summary>
    /// <exception cref="InvalidInputException">It lies outside.</exception>
    public string PathOf(FileSource source)
    {
        string path = source.Path.Contains('\0', StringComparison.Ordinal) ? "" : Path.GetFullPath(source.Path, _start);
        if (path.Length > 0 && IsReadable(path)) return Follow(path);
        throw new InvalidInputException($"\"{source}\" lies outside of the folders that this host reads. Put it below the host's file root, "
            + "have its folder added to the setting RlhfFileRoots, or name it as \"blob:…\" or \"hf:…\".");
    }

    /// <summary>The names of a folder's files, but for links that lead out.</summary>
    public IReadOnlyList<string> FilesIn(string folder)
    {
        return [.. Directory.GetFiles(folder).Where(IsReadable).Select(file => Path.GetFileName(file))];
    }

    private bool IsReadable(string path)
    {
        string real = Follow(path);
        return _roots.Any(root => real == root || real.StartsWith(Path.EndsInDirectorySeparator(root) ? root : root + Path.DirectorySeparatorChar, StringComparison.Ordinal));
    }

    /// <summary>A path without links: of any part of it, for .NET itself follows only a last one.</summary>
    private static string Follow(string path, int links = 0)
    {
        string real = Path.GetPathRoot(path)!;
        foreach (string part in path[real.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            string next = Path.Combine(real, part);
            string? target = links < MostLinks ? new FileInfo(next).LinkTarget : null;
            real = target is null ? next : Follow(Path.GetFullPath(target, real), links + 1);
        }

        return real;
    }
}
