using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace RlhfFunctions.Infra.Tests;

public sealed class WorkflowTests
{
    private static readonly string[] Known = ["ci.yml", "codeql.yml", "deploy.yml", "release.yml"];

    public static TheoryData<string> Workflows => [.. Directory.EnumerateFiles(Repository.Path(".github", "workflows"))
        .Select(file => Path.GetFileName(file)!)];

    [Fact]
    public void There_are_those_we_know()
    {
        Assert.Equal(Known, Workflows.Select(row => row.Data).Order());
    }

    [Theory]
    [MemberData(nameof(Workflows))]
    public void Actions_are_pinned_by_commit_and_say_their_version(string file)
    {
        var uses = Regex.Matches(Repository.Read(".github", "workflows", file), @"uses: *(.*)").Select(match => match.Groups[1].Value).ToList();
        Assert.NotEmpty(uses);
        Assert.All(uses, action => Assert.Matches("^[A-Za-z-]+/[a-z/-]+@[0-9a-f]{40} # v[0-9]+\\.[0-9]+\\.[0-9]+$", action));
    }

    [Fact]
    public void One_action_has_one_commit()
    {
        var pins = Known.SelectMany(file => Regex.Matches(Repository.Read(".github", "workflows", file), @"uses: *([^/]+/[^/@]+)[^@]*@(.*)"))
            .Select(match => (Action: match.Groups[1].Value, Pin: match.Groups[2].Value)).Distinct().ToList();
        Assert.Equal(pins.Select(pin => pin.Action).Distinct().Count(), pins.Count);
    }

    [Theory]
    [MemberData(nameof(Workflows))]
    public void A_workflow_may_read_and_its_jobs_only_what_they_need(string file)
    {
        var workflow = Yaml.Read(".github", "workflows", file);
        Assert.Equal(["contents: read"], Permissions(workflow));
        string[] expected = file switch
        {
            "codeql.yml" => ["contents: read", "security-events: write"],
            "deploy.yml" => ["contents: read", "id-token: write"],
            "release.yml" => ["attestations: write", "contents: write", "id-token: write"],
            _ => [],
        };
        var jobs = workflow.Map("jobs");
        foreach (string name in jobs.Keys())
        {
            var job = jobs.Map(name);
            Assert.Equal(expected, job.Keys().Contains("permissions") ? Permissions(job) : []);
            Assert.InRange(int.Parse(job.Text("timeout-minutes"), System.Globalization.CultureInfo.InvariantCulture), 1, 120);
        }
    }

    [Theory]
    [MemberData(nameof(Workflows))]
    public void There_is_no_secret_and_no_text_of_others_in_a_script(string file)
    {
        string text = Repository.Read(".github", "workflows", file);
        Assert.DoesNotContain("secrets.", text, StringComparison.Ordinal);
        Assert.DoesNotContain("pull_request_target", text, StringComparison.Ordinal);
        var workflow = Yaml.Read(".github", "workflows", file);
        foreach (var step in Steps(workflow))
        {
            // An expression is pasted into the script before the shell reads it; a variable is not.
            if (step.Keys().Contains("run")) Assert.DoesNotContain("${{", step.Text("run"), StringComparison.Ordinal);
            if (step.Keys().Contains("uses") && step.Text("uses").StartsWith("actions/checkout@", StringComparison.Ordinal))
                Assert.Equal("false", step.Map("with").Text("persist-credentials"));
        }
    }

    [Fact]
    public void Ci_restores_what_was_reviewed_and_runs_the_whole_suite()
    {
        string[] commands = [.. Steps(Yaml.Read(".github", "workflows", "ci.yml")).Where(step => step.Keys().Contains("run"))
            .Select(step => step.Text("run"))];
        Assert.Contains("dotnet restore --locked-mode", commands);
        Assert.Contains("dotnet format --no-restore --verify-no-changes", commands);
        string test = Assert.Single(commands, command => command.StartsWith("dotnet test", StringComparison.Ordinal));
        Assert.Contains("Format=cobertura", test, StringComparison.Ordinal);
        Assert.DoesNotContain("--filter", test, StringComparison.Ordinal);
        string build = Assert.Single(commands, command => command.StartsWith("docker build", StringComparison.Ordinal));
        var arguments = new Dockerfile(Repository.Read("Dockerfile")).Of("build", "ARG").Select(argument => argument.Split('=')[0]);
        Assert.All(arguments, argument => Assert.Contains($"--build-arg {argument}=", build, StringComparison.Ordinal));
    }

    [Fact]
    public void Deploy_sets_every_variable_that_the_parameters_read()
    {
        string parameters = Repository.Read("infra", "bicep", "main.bicepparam") + Repository.Read("azure.yaml");
        var read = Regex.Matches(parameters, @"readEnvironmentVariable\('(\w+)'|\$\{(\w+)=")
            .Select(match => match.Groups[1].Value + match.Groups[2].Value);
        var job = Yaml.Read(".github", "workflows", "deploy.yml").Map("jobs").Map("deploy");
        // azd sets these itself.
        string[] azds = ["AZURE_PRINCIPAL_ID", "AZURE_PRINCIPAL_TYPE", "SERVICE_API_RESOURCE_EXISTS", "SERVICE_GPU_RESOURCE_EXISTS"];
        Assert.Equal(read.Except(azds).Concat(["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"])
            .Order(), job.Map("env").Keys().Order());
    }

    [Fact]
    public void The_tools_of_a_release_are_in_the_manifest()
    {
        using var manifest = JsonDocument.Parse(Repository.Read(".config", "dotnet-tools.json"));
        Assert.True(manifest.RootElement.GetProperty("tools").TryGetProperty("cyclonedx", out var tool));
        Assert.Matches(@"^\d+\.\d+\.\d+$", tool.GetProperty("version").GetString());
        string release = Repository.Read(".github", "workflows", "release.yml");
        Assert.Contains("dotnet CycloneDX src/Functions/Functions.csproj", release, StringComparison.Ordinal);
        Assert.Contains("subject-checksums: dist/SHA256SUMS", release, StringComparison.Ordinal);
        Assert.Contains("sbom-path: dist/sbom.cdx.json", release, StringComparison.Ordinal);
    }

    [Fact]
    public void Dependabot_watches_whatever_is_pinned()
    {
        var updates = (YamlSequenceNode)Yaml.Read(".github", "dependabot.yml").Children["updates"];
        string[] ecosystems = [.. updates.Cast<YamlMappingNode>().Select(update => update.Text("package-ecosystem")).Order()];
        Assert.Equal(["devcontainers", "docker", "github-actions", "npm", "nuget"], ecosystems);
        string[] pinned = ["Directory.Packages.props", "package-lock.json", "Dockerfile", ".devcontainer/devcontainer.json"];
        Assert.All(pinned, file => Assert.True(File.Exists(Repository.Path(file)), file));
    }

    [Theory]
    [InlineData("bug.yml")]
    [InlineData("idea.yml")]
    public void Issue_forms_have_what_GitHub_asks_for(string file)
    {
        var form = Yaml.Read(".github", "ISSUE_TEMPLATE", file);
        Assert.NotEqual("", form.Text("name"));
        Assert.NotEqual("", form.Text("description"));
        var fields = ((YamlSequenceNode)form.Children["body"]).Cast<YamlMappingNode>().Where(field => field.Text("type") != "markdown").ToList();
        Assert.All(fields, field => Assert.NotEqual("", field.Map("attributes").Text("label")));
        Assert.Equal(fields.Count, fields.Select(field => field.Text("id")).Distinct().Count());
        Assert.Contains(fields, field => field.Keys().Contains("validations") && field.Map("validations").Text("required") == "true");
    }

    [Fact]
    public void The_devcontainer_has_the_frameworks_version_and_the_node_that_CI_has()
    {
        string framework = Regex.Match(Repository.Read("Directory.Build.props"), "<TargetFramework>net(.+)</TargetFramework>").Groups[1].Value;
        using var container = JsonDocument.Parse(Repository.Read(".devcontainer", "devcontainer.json"));
        Assert.EndsWith($"-{framework}-noble", container.RootElement.GetProperty("image").GetString(), StringComparison.Ordinal);
        string? node = container.RootElement.GetProperty("features").GetProperty("ghcr.io/devcontainers/features/node:1").GetProperty("version").GetString();
        Assert.Contains($"node-version: {node}\n", Repository.Read(".github", "workflows", "ci.yml"), StringComparison.Ordinal);
    }

    private static IEnumerable<YamlMappingNode> Steps(YamlMappingNode workflow)
    {
        var jobs = workflow.Map("jobs");
        return jobs.Keys().SelectMany(name => (YamlSequenceNode)jobs.Map(name).Children["steps"]).Cast<YamlMappingNode>();
    }

    private static IEnumerable<string> Permissions(YamlMappingNode node)
    {
        var permissions = node.Map("permissions");
        return permissions.Keys().Select(name => $"{name}: {permissions.Text(name)}").Order();
    }
}
