using System.Text.Json.Nodes;

namespace RlhfFunctions.Infra.Tests;

public sealed class BicepTests
{
    private static readonly string Folder = Repository.Path("infra", "bicep");
    private static readonly Dictionary<string, string> NoEnvironment = [];

    public static TheoryData<string> Files =>
        [.. Directory.EnumerateFiles(Folder, "*.bicep*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Folder, file))];

    [Fact]
    public void Lint_finds_nothing()
    {
        Bicep.RunClean("lint", Path.Combine(Folder, "main.bicep"));
    }

    [Fact]
    public void Every_rule_of_the_linter_is_an_error()
    {
        using var copy = new InfraCopy();
        copy.Replace("modules/budget.bicep", "var thresholds", "var unused = 1\nvar thresholds");
        var result = Bicep.Run(NoEnvironment, "lint", Path.Combine(copy.Folder, "main.bicep"));
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("Error no-unused-vars", result.Messages, StringComparison.Ordinal);
        var rules = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "bicepconfig.json")))!["analyzers"]!["core"]!["rules"]!.AsObject();
        Assert.NotEmpty(rules);
        Assert.All(rules, rule => Assert.Equal("error", (string)rule.Value!["level"]!));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Files_are_formatted(string file)
    {
        string path = Path.Combine(Folder, file);
        Assert.Equal(BicepServer.Format(path), File.ReadAllText(path));
    }

    [Fact]
    public void Parameters_build_from_what_azd_sets()
    {
        var environment = new Dictionary<string, string>
        {
            ["AZURE_ENV_NAME"] = "mine",
            ["AZURE_LOCATION"] = "westus3",
            ["AZURE_PRINCIPAL_ID"] = "11111111-1111-1111-1111-111111111111",
            ["AZURE_PRINCIPAL_TYPE"] = "ServicePrincipal",
            ["GPU_PROFILE"] = "Consumption-GPU-NC24-A100",
            ["GPU_MAX_REPLICAS"] = "64",
            ["GPU_PRICE_PER_HOUR"] = "3.50 EUR",
            ["SERVICE_API_RESOURCE_EXISTS"] = "true",
            ["SERVICE_GPU_RESOURCE_EXISTS"] = "true",
            ["BUDGET_AMOUNT"] = "2000",
            ["BUDGET_EMAILS"] = "a@example.org,b@example.org",
        };
        string built = Bicep.Run(environment, "build-params", Path.Combine(Folder, "main.bicepparam"), "--stdout").Clean();
        var parameters = JsonNode.Parse((string)JsonNode.Parse(built)!["parametersJson"]!)!["parameters"]!.AsObject();
        var values = parameters.Select(parameter => $"{parameter.Key}={parameter.Value!["value"]!.ToJsonString()}");
        Assert.Equal(
            [
                "apiExists=true", "budgetAmount=2000", """budgetEmails=["a@example.org","b@example.org"]""",
                "deployerId=\"11111111-1111-1111-1111-111111111111\"", "deployerType=\"ServicePrincipal\"", "environmentName=\"mine\"",
                "gpuExists=true", "gpuMaxReplicas=64", "gpuPricePerHour=\"3.50 EUR\"", "gpuProfile=\"Consumption-GPU-NC24-A100\"", "location=\"westus3\"",
            ],
            values.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_command_line_builds()
    {
        string file = Path.Combine(Folder, "main.bicep");
        Assert.Equal(BicepServer.Compile(file), Bicep.RunClean("build", file, "--stdout"));
    }

    [Theory]
    [InlineData("gpuProfile", "\"NC24-A100\"", "Consumption-GPU-NC24-A100")]
    [InlineData("gpuMaxReplicas", "1001", "1000")]
    [InlineData("gpuMaxReplicas", "0", "1")]
    [InlineData("deployerType", "\"Group\"", "ServicePrincipal")]
    [InlineData("environmentName", "\"\"", "1")]
    [InlineData("rolloutRetentionDays", "0", "1")]
    public void Parameters_out_of_bounds_are_refused(string parameter, string value, string bound)
    {
        string complaint = Assert.Single(BicepServer.Complaints(Path.Combine(Folder, "main.bicepparam"), parameter, JsonNode.Parse(value)!));
        Assert.Contains(bound, complaint, StringComparison.Ordinal);
    }

    /// <summary>What a deployment would make is what was reviewed. infra/snapshots accepts a change.</summary>
    [Theory]
    [InlineData("infra/bicep/main.bicepparam")]
    [InlineData("tests/Infra.Tests/Snapshots/a100.bicepparam")]
    [InlineData("tests/Infra.Tests/Snapshots/cpu.bicepparam")]
    public void Snapshots_are_up_to_date(string file)
    {
        Bicep.RunClean("snapshot", Repository.Path(file), "--mode", "validate", "--subscription-id", Bicep.Subscription);
    }

    [Fact]
    public void A_stale_snapshot_is_noticed()
    {
        using var copy = new InfraCopy();
        copy.Replace("modules/storage.bicep", "days: 7", "days: 8");
        string file = Path.Combine(copy.Folder, "main.bicepparam");
        var result = Bicep.Run(NoEnvironment, "snapshot", file, "--mode", "validate", "--subscription-id", Bicep.Subscription);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("days", result.Output + result.Messages, StringComparison.Ordinal);
    }
}
