using System.Text.Json;
using System.Text.RegularExpressions;

namespace RlhfFunctions.Infra.Tests;

/// <summary>A Dockerfile's instructions, in order, lines that go on joined and comments left out.</summary>
internal sealed partial class Dockerfile
{
    public Dockerfile(string text)
    {
        string joined = Continuation().Replace(string.Join('\n', text.Split('\n').Where(line => !line.TrimStart().StartsWith('#'))), " ");
        string stage = "";
        var instructions = new List<Instruction>();
        foreach (string line in joined.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] parts = line.Split(' ', 2);
            if (parts[0] == "FROM") stage = FromLine().Match(parts[1]).Groups["stage"].Value;
            instructions.Add(new Instruction(stage, parts[0], Blanks().Replace(parts[1].Trim(), " ")));
        }

        Instructions = instructions;
    }

    public IReadOnlyList<Instruction> Instructions { get; }

    public IEnumerable<string> Of(string stage, string name)
    {
        return Instructions.Where(instruction => instruction.Stage == stage && instruction.Name == name).Select(instruction => instruction.Text);
    }

    /// <summary>Image and stage of each FROM.</summary>
    public IReadOnlyList<(string Image, string Stage)> Stages =>
        [.. Instructions.Where(instruction => instruction.Name == "FROM").Select(from => FromLine().Match(from.Text))
            .Select(from => (from.Groups["image"].Value, from.Groups["stage"].Value))];

    /// <summary>The variables that a stage's ENV lines set.</summary>
    public IReadOnlyDictionary<string, string> Environment(string stage)
    {
        return Of(stage, "ENV").SelectMany(line => line.Split(' ')).Select(pair => pair.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
    }

    /// <summary>The arguments of the stage's one instruction in exec form.</summary>
    public string[] Exec(string stage, string name)
    {
        string text = Assert.Single(Of(stage, name));
        return JsonSerializer.Deserialize<string[]>(text[text.IndexOf('[', StringComparison.Ordinal)..])!;
    }

    [GeneratedRegex(@"\\\n")]
    private static partial Regex Continuation();

    [GeneratedRegex(" +")]
    private static partial Regex Blanks();

    [GeneratedRegex(@"^(?<image>\S+) AS (?<stage>\S+)$")]
    private static partial Regex FromLine();
}

internal sealed record Instruction(string Stage, string Name, string Text);
