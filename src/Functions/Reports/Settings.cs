using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>The settings of runs as tables: a row for each field, by its path in the request.</summary>
internal static class Settings
{
    /// <summary>All of one run, folded away.</summary>
    public static Html Whole(RunRequest request)
    {
        return $"""
            <details id="settings"><summary id="settings-open">The whole request</summary>
            <table class="stack"><thead><tr><th scope="col">setting</th><th scope="col">value</th></tr></thead><tbody>
            {Leaves(request).Select<(string Path, string Value), Html>(leaf => $"""
            <tr><th scope="row">{leaf.Path}</th><td data-label="value">{leaf.Value}</td></tr>

            """)}</tbody></table></details>

            """;
    }

    /// <summary>Those in which runs differ, with each run's value, empty where it has no such setting; the run's id is none.</summary>
    public static IReadOnlyList<(string Path, string[] Values)> Differences(IReadOnlyList<RunRequest> requests)
    {
        Dictionary<string, string>[] settings = [.. requests.Select(request => Leaves(request with { RunId = null }).ToDictionary(leaf => leaf.Path, leaf => leaf.Value))];
        return [.. settings.SelectMany(leaves => leaves.Keys).Distinct()
            .Select(path => (path, Values: settings.Select(leaves => leaves.GetValueOrDefault(path, "")).ToArray()))
            .Where(setting => setting.Values.Distinct().Count() > 1)];
    }

    private static IEnumerable<(string Path, string Value)> Leaves(RunRequest request)
    {
        return Leaves("", JsonSerializer.SerializeToNode(request, ContractsJson.Options));
    }

    /// <summary>A list of objects has a row for each field of each of them; a list of values is one.</summary>
    private static IEnumerable<(string Path, string Value)> Leaves(string path, JsonNode? node)
    {
        return node switch
        {
            JsonObject branch => branch.SelectMany(field => Leaves(path.Length == 0 ? field.Key : $"{path}.{field.Key}", field.Value)),
            JsonArray list when list.Any(item => item is JsonObject) => list.SelectMany((item, i) => Leaves($"{path}[{i}]", item)),
            _ => [(path, node?.ToJsonString(ContractsJson.Options) ?? "null")],
        };
    }
}
