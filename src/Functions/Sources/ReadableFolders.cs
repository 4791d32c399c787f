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
        _roots = [.. named.Append(samples).Concat(start is null ? [] : [_start]).Select(root => Follow(Path.GetFullPath(root))).OfType<string>()];
    }

    /// <summary>The absolute path of a source, links followed.</summary>
    /// <exception cref="InvalidInputException">It lies outside.</exception>
    public string PathOf(FileSource source)
    {
        string? path = source.Path.Contains('\0', StringComparison.Ordinal) ? null : Follow(Path.GetFullPath(source.Path, _start));
        return IsReadable(path) ? path! : throw new InvalidInputException($"\"{source}\" lies outside of the folders that this host reads. "
            + "Put it below the host's file root, have its folder added to the setting RlhfFileRoots, or name it as \"blob:…\" or \"hf:…\".");
    }

    /// <summary>The names of a folder's files, but for links that lead out.</summary>
    public IReadOnlyList<string> FilesIn(string folder)
    {
        return [.. Directory.GetFiles(folder).Where(file => IsReadable(Follow(file))).Select(file => Path.GetFileName(file))];
    }

    private bool IsReadable(string? path)
    {
        return path is not null && _roots.Any(root => path == root || path.StartsWith(Path.EndsInDirectorySeparator(root) ? root : root + Path.DirectorySeparatorChar, StringComparison.Ordinal));
    }

    /// <summary>A path without links, of any part of it: .NET itself follows only a last one. Null where they lead nowhere.</summary>
    private static string? Follow(string path, int links = 0)
    {
        string real = Path.GetPathRoot(path)!;
        foreach (string part in path[real.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            string next = Path.Combine(real, part);
            string? target = new FileInfo(next).LinkTarget;
            if (target is not null && links == MostLinks) return null;
            if ((target is null ? next : Follow(Path.GetFullPath(target, real), links + 1)) is not { } followed) return null;
            real = followed;
        }

        return real;
    }
}
