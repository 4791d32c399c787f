using System.Text.Json.Nodes;

namespace RlhfFunctions.Infra.Tests;

/// <summary>What infra/bicep comes to: the compiled template, and the resources that a deployment of given parameters would make.</summary>
internal sealed class Deployment
{
    private readonly JsonNode[] _resources;

    /// <param name="folder">A folder as infra/bicep.</param>
    public Deployment(string folder)
    {
        Text = BicepServer.Compile(Path.Combine(folder, "main.bicep"));
        Template = JsonNode.Parse(Text)!;
        var snapshot = BicepServer.Snapshot(Path.Combine(folder, "main.bicepparam"));
        _resources = [.. snapshot["predictedResources"]!.AsArray().Select(resource => resource!)];
        Outputs = [.. snapshot["outputs"]!.AsObject().Select(output => output.Key)];
    }

    public string Text { get; }

    public JsonNode Template { get; }

    public IReadOnlyList<string> Outputs { get; }

    public JsonNode Storage => Single("Microsoft.Storage/storageAccounts");

    public JsonNode Registry => Single("Microsoft.ContainerRegistry/registries");

    public JsonNode Insights => Single("Microsoft.Insights/components");

    public IReadOnlyList<JsonNode> Apps => Of("Microsoft.App/containerApps");

    public JsonNode Api => App("api");

    public JsonNode Gpu => App("gpu");

    /// <summary>The main template and all modules, outermost first.</summary>
    public IEnumerable<JsonNode> Templates => NestedIn(Template);

    public IReadOnlyList<JsonNode> Of(string type)
    {
        return [.. _resources.Where(resource => (string?)resource["type"] == type)];
    }

    public JsonNode Single(string type)
    {
        return Assert.Single(Of(type));
    }

    /// <summary>The settings of an app, by name.</summary>
    public static IReadOnlyDictionary<string, string> SettingsOf(JsonNode app)
    {
        return Container(app)["env"]!.AsArray().ToDictionary(setting => (string)setting!["name"]!, setting => (string)setting!["value"]!);
    }

    public static JsonNode Container(JsonNode app)
    {
        return Assert.Single(app["properties"]!["template"]!["containers"]!.AsArray())!;
    }

    /// <summary>A resource's id, from which those of the resources below it begin.</summary>
    public static string Id(JsonNode resource)
    {
        return (string)resource["id"]!;
    }

    private JsonNode App(string service)
    {
        return Assert.Single(Apps, app => (string?)app["tags"]!["azd-service-name"] == service);
    }

    private static IEnumerable<JsonNode> NestedIn(JsonNode template)
    {
        yield return template;
        var resources = template["resources"]!;
        var all = resources is JsonArray array ? array.Select(resource => resource!) : resources.AsObject().Select(resource => resource.Value!);
        foreach (var module in all.Where(resource => (string?)resource["type"] == "Microsoft.Resources/deployments"))
        {
            foreach (var nested in NestedIn(module["properties"]!["template"]!)) yield return nested;
        }
    }
}
