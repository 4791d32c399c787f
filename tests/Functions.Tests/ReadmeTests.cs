using System.Text.RegularExpressions;

namespace RlhfFunctions.Functions.Tests;

/// <summary>What the README shows is what is there.</summary>
public sealed partial class ReadmeTests
{
    private static readonly string[] NotShown = ["bin", "obj", "node_modules", "TestResults", ".git", ".rlhf", ".vs", ".idea"];

    [Fact]
    public void Every_path_of_the_file_tree_exists()
    {
        Assert.All(TreePaths(), path => Assert.True(Exists(path), $"README's file tree names {path}, which does not exist."));
    }

    [Fact]
    public void Every_folder_of_the_first_two_levels_stands_in_the_file_tree()
    {
        string[] shown = [.. TreePaths()];
        var folders = Folders("").SelectMany(top => Folders(top).Prepend(top));
        Assert.All(folders, folder => Assert.True(
            shown.Any(path => path.TrimEnd('/') == folder || path.StartsWith(folder + "/", StringComparison.Ordinal)),
            $"README's file tree lacks {folder}/."));
    }

    [Fact]
    public void Every_room_of_Ml_stands_in_the_file_tree()
    {
        string[] shown = [.. TreePaths()];
        Assert.All(Folders("src/Ml"), room => Assert.Contains(room + "/", shown));
    }

    private static IEnumerable<string> Folders(string relative)
    {
        return Directory.GetDirectories(Path.Combine(Repository.Root, relative))
            .Select(folder => Path.GetFileName(folder))
            .Where(name => !NotShown.Contains(name))
            .Select(name => relative.Length == 0 ? name : $"{relative}/{name}");
    }

    private static bool Exists(string path)
    {
        string full = Path.Combine(Repository.Root, path);
        return path.EndsWith('/') ? Directory.Exists(full) : File.Exists(full);
    }

    /// <summary>The paths of the tree: two spaces of indentation a level, folders end with a slash, a purpose may follow.</summary>
    private static List<string> TreePaths()
    {
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        var tree = Tree().Match(readme);
        Assert.True(tree.Success, "README.md has no file tree: a code block that follows the heading \"## Where things are\".");
        var parents = new List<string>();
        var paths = new List<string>();
        foreach (string line in tree.Groups[1].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int level = (line.Length - line.TrimStart().Length) / 2;
            parents.RemoveRange(level, parents.Count - level);
            foreach (string name in Purpose().Replace(line.Trim(), "").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                string path = string.Concat(parents) + name;
                paths.Add(path);
            }

            parents.Add(paths[^1].EndsWith('/') ? paths[^1][string.Concat(parents).Length..] : "");
        }

        return paths;
    }

    [GeneratedRegex(@"## Where things are\s+```\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Tree();

    [GeneratedRegex(@"\s{2,}.*$")]
    private static partial Regex Purpose();
}
