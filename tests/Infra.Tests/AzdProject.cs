using YamlDotNet.RepresentationModel;

namespace RlhfFunctions.Infra.Tests;

/// <summary>azure.yaml.</summary>
internal static class AzdProject
{
    public static YamlMappingNode Root { get; } = Yaml.Read("azure.yaml");

    public static IEnumerable<string> Services => Root.Map("services").Keys();

    public static YamlMappingNode Docker(string service)
    {
        return Root.Map("services").Map(service).Map("docker");
    }
}

internal static class Yaml
{
    public static YamlMappingNode Read(params string[] path)
    {
        var stream = new YamlStream();
        using var reader = new StringReader(Repository.Read(path));
        stream.Load(reader);
        return (YamlMappingNode)Assert.Single(stream.Documents).RootNode;
    }

    public static YamlMappingNode Map(this YamlMappingNode node, string key)
    {
        return (YamlMappingNode)node.Children[key];
    }

    public static IEnumerable<string> Keys(this YamlMappingNode node)
    {
        return node.Children.Keys.Select(key => ((YamlScalarNode)key).Value!);
    }

    public static string Text(this YamlMappingNode node, string key)
    {
        return ((YamlScalarNode)node.Children[key]).Value!;
    }

    public static IReadOnlyList<string> Texts(this YamlMappingNode node, string key)
    {
        return [.. ((YamlSequenceNode)node.Children[key]).Select(item => ((YamlScalarNode)item).Value!)];
    }
}
