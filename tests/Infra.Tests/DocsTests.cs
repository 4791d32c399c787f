using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Infra.Tests;

/// <summary>The pages say what the code says, as far as a program can tell.</summary>
public sealed partial class DocsTests
{
    private static readonly string[] Expected =
        ["adr", "algorithm.md", "api.md", "architecture.md", "blobs.md", "data-flow.svg", "operations.md", "performance.md", "responsible-use.md", "scale.md", "scale.svg"];

    public static TheoryData<string> Pages =>
    [
        "SECURITY.md",
        .. Directory.EnumerateFiles(Repository.Path("docs"), "*.md", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Repository.Root, file)),
    ];

    [Fact]
    public void There_is_what_there_should_be()
    {
        Assert.Equal(Expected, Directory.EnumerateFileSystemEntries(Repository.Path("docs")).Select(entry => Path.GetFileName(entry)!).Order());
        string index = Repository.Read("docs", "adr", "README.md");
        string[] records = [.. Directory.EnumerateFiles(Repository.Path("docs", "adr"), "0*.md").Select(file => Path.GetFileName(file)!)];
        Assert.All(records, record => Assert.Contains($"({record})", index, StringComparison.Ordinal));
        Assert.Equal(records.Length, Regex.Count(index, @"\(0"));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_lead_somewhere(string page)
    {
        string folder = Path.GetDirectoryName(Repository.Path(page))!;
        foreach (string target in Link().Matches(Repository.Read(page)).Select(match => match.Groups[1].Value)
            .Where(target => !target.StartsWith("http", StringComparison.Ordinal)))
            Assert.True(File.Exists(Path.Combine(folder, target)), $"{page} links to {target}, which is not there.");
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Files_and_folders_that_are_named_exist(string page)
    {
        foreach (string name in NamedPath().Matches(Repository.Read(page)).Select(match => match.Groups[1].Value))
            Assert.True(Path.Exists(Repository.Path(name)), $"{page} names {name}, which is not there.");
    }

    [Fact]
    public void Every_address_is_in_the_api_page_and_every_one_there_exists()
    {
        var inCode = Directory.EnumerateFiles(Repository.Path("src", "Functions", "Http"), "*.cs")
            .SelectMany(file => Trigger().Matches(File.ReadAllText(file)))
            .Select(match => $"{match.Groups[1].Value.ToUpperInvariant()} /api/{match.Groups[2].Value}").ToList();
        const string Row = @"^\| `((?:GET|POST|PUT|DELETE) /api/[^`]*)`";
        var inPage = Regex.Matches(Repository.Read("docs", "api.md"), Row, RegexOptions.Multiline).Select(match => match.Groups[1].Value);
        Assert.NotEmpty(inCode);
        Assert.Equal(inCode.Order(), inPage.Order());
    }

    [Fact]
    public void Every_kind_of_problem_is_in_the_api_page()
    {
        var inCode = Directory.EnumerateFiles(Repository.Path("src", "Functions", "Http"), "*.cs")
            .SelectMany(file => Regex.Matches(File.ReadAllText(file), "Problem\\((\\d+), \"([a-z-]+)\""))
            .Select(match => $"| `{match.Groups[2].Value}` | {match.Groups[1].Value} |").Distinct().ToList();
        Assert.NotEmpty(inCode);
        string page = Repository.Read("docs", "api.md");
        Assert.All(inCode, row => Assert.Contains(row, page, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_field_of_a_request_is_in_the_api_page()
    {
        string page = Repository.Read("docs", "api.md");
        var fields = FieldsOf(typeof(RunRequest)).Concat(FieldsOf(typeof(GenerateRequest)))
            .Concat(FieldsOf(typeof(CampaignRequest))).Concat(FieldsOf(typeof(VotesMessage))).Concat(FieldsOf(typeof(RewardRequest))).Distinct().ToList();
        Assert.True(fields.Count > 60, $"{fields.Count} fields");
        Assert.All(fields, field => Assert.Contains($"`{field}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Numbers_of_the_api_page_are_the_defaults()
    {
        string page = Repository.Read("docs", "api.md");
        var ppo = new PpoSettings();
        Assert.Contains($"| `steps` | {ppo.Steps} |", page, StringComparison.Ordinal);
        Assert.Contains($"| `batchSize`, `miniBatchSize` | {ppo.BatchSize}, {ppo.MiniBatchSize} |", page, StringComparison.Ordinal);
        Assert.Contains($"| `epochs` | {ppo.Epochs} |", page, StringComparison.Ordinal);
        Assert.Contains(FormattableString.Invariant($"| `gamma`, `lambda` | {ppo.Gamma}, {ppo.Lambda} |"), page, StringComparison.Ordinal);
        Assert.Contains($"`maxKl` ({ppo.Alarms.MaxKl}), `maxRatio` ({ppo.Alarms.MaxRatio}), `maxLengthDrift` ({ppo.Alarms.MaxLengthDrift})", page, StringComparison.Ordinal);
        Assert.Contains($"| `epochs`, `learningRate`, `maxGradientNorm` | {new GrpoSettings().Epochs}, 1e-5, {new GrpoSettings().MaxGradientNorm} |", page, StringComparison.Ordinal);
        Assert.Contains(FormattableString.Invariant($"| `groupSize`, `klCoefficient` | {new GrpoSettings().GroupSize}, {new GrpoSettings().KlCoefficient} |"), page, StringComparison.Ordinal);
        Assert.Contains(FormattableString.Invariant($"| `groupSize`, `klCoefficient` | {new RlooSettings().GroupSize}, {new RlooSettings().KlCoefficient} |"), page, StringComparison.Ordinal);
        Assert.Contains(FormattableString.Invariant($"| `beta` | {new DpoSettings().Beta} |"), page, StringComparison.Ordinal);
        var lora = new LoraSettings();
        Assert.Contains($"| `rank`, `alpha` | {lora.Rank}, {lora.Alpha} |", page, StringComparison.Ordinal);
        var compute = new ComputeSettings();
        Assert.Contains($"| `rolloutShards` | {compute.RolloutShards} |", page, StringComparison.Ordinal);
        Assert.Contains($"| `updateShards` | {compute.UpdateShards} |", page, StringComparison.Ordinal);
        Assert.Contains($"| `rolloutThreads`, `updateThreads` | {compute.RolloutThreads}, {compute.UpdateThreads} |", page, StringComparison.Ordinal);
        Assert.Contains(FormattableString.Invariant($"(1 to {new Limits().Prompts} of up to {new Limits().PromptCharacters:N0} characters;"), page, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_limit_is_a_setting_on_the_page_of_operations()
    {
        string page = Repository.Read("docs", "operations.md");
        Assert.All(typeof(Limits).GetProperties(), limit => Assert.Contains($"`RlhfLimits__{limit.Name}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_path_is_in_the_page_of_blobs()
    {
        string page = Repository.Read("docs", "blobs.md");
        string[] paths =
        [
            BlobPaths.Model("{name}"), BlobPaths.Request("{id}"), BlobPaths.Dataset("{id}"), BlobPaths.Published("{id}", "manifest.json"),
            BlobPaths.LatestAdapter, $"{BlobPaths.Dialogues}/{{name}}", BlobPaths.Summary("{name}"), BlobPaths.SummaryErrors("{name}"), BlobPaths.NightlyEvaluation("{date}"),
        ];
        Assert.All(paths, path => Assert.Contains($"`{path}", page, StringComparison.Ordinal));
        string[] numbered = [BlobPaths.Checkpoint("{id}", 0), BlobPaths.Metrics("{id}", 0), BlobPaths.Rollout("{id}", 0, 0), BlobPaths.Preferences("{id}", 0), BlobPaths.Measurement("{id}", 0), BlobPaths.Update("{id}", 0)];
        Assert.All(numbered, path => Assert.Contains(
            $"`{path.Replace("/00000", "/{step:D5}", StringComparison.Ordinal).Replace("/000", "/{shard:D3}", StringComparison.Ordinal)}/", page, StringComparison.Ordinal));
        string[] published =
            [RunFiles.AdapterConfig, RunFiles.AdapterWeights, RunFiles.Metrics, RunFiles.Evaluation, RunFiles.Samples, RunFiles.Events, RunFiles.Report];
        Assert.All(published, file => Assert.Contains($"`{file}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Stages_of_the_algorithm_have_the_numbers_of_the_code()
    {
        string page = Repository.Read("docs", "algorithm.md");
        string[] rollout = [.. Stages("src/Ml/Rollout/RolloutCollector.cs")], update = [.. Stages("src/Ml/Learning/PolicyUpdate.cs")];
        Assert.Equal((2, 5), (rollout.Length, update.Length));
        Assert.Equal(rollout, NumberedIn(page, "## Rollout"));
        Assert.Equal(update, NumberedIn(page, "## Update"));
    }

    [Fact]
    public void Operations_name_every_role_and_every_setting_that_can_be_chosen()
    {
        string page = Repository.Read("docs", "operations.md");
        string[] roles = [.. Regex.Matches(Repository.Read("infra", "bicep", "modules", "storage.bicep"), "'(Storage [A-Za-z ]+)':")
            .Select(match => match.Groups[1].Value)];
        Assert.Equal(3, roles.Length);
        Assert.All(roles, role => Assert.Contains($"| {role} |", page, StringComparison.Ordinal));
        string parameters = Repository.Read("infra", "bicep", "main.bicepparam");
        var chosen = Regex.Matches(parameters, @"readEnvironmentVariable\('(GPU_\w+|BUDGET_\w+)'").Select(match => match.Groups[1].Value)
            .Append("TORCH_BACKEND").ToList();
        Assert.True(chosen.Count >= 5);
        Assert.All(chosen, setting => Assert.Contains($"`{setting}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void The_drawing_is_a_drawing_and_names_what_runs()
    {
        string text = Repository.Read("docs", "data-flow.svg");
        var drawing = XDocument.Parse(text);
        Assert.Equal("svg", drawing.Root!.Name.LocalName);
        string[] activities =
        [
            FunctionNames.PrepareModel, FunctionNames.PrepareAdapter, FunctionNames.PrepareDataset, FunctionNames.Evaluate,
            FunctionNames.RolloutShard, FunctionNames.ScorePreferences, FunctionNames.GradientShard, FunctionNames.OptimizerStep, FunctionNames.PpoUpdate, FunctionNames.PublishAdapter, FunctionNames.RepairRun,
            FunctionNames.EvaluateLatest, FunctionNames.WriteSummaries, FunctionNames.SweepStorage,
        ];
        Assert.All(activities, activity => Assert.Contains(activity, text, StringComparison.Ordinal));
        Assert.DoesNotContain("script", text, StringComparison.OrdinalIgnoreCase);
    }

    private static IEnumerable<string> FieldsOf(Type type)
    {
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.GetCustomAttribute<JsonIgnoreAttribute>() is { Condition: JsonIgnoreCondition.Always }) continue;
            yield return JsonNamingPolicy.CamelCase.ConvertName(property.Name);
            var element = property.PropertyType.IsGenericType && typeof(IEnumerable).IsAssignableFrom(property.PropertyType)
                ? property.PropertyType.GetGenericArguments()[0] : property.PropertyType;
            if (element.Assembly != type.Assembly || element.IsEnum) continue;
            var kinds = element.GetCustomAttributes<JsonDerivedTypeAttribute>().Select(derived => derived.DerivedType).DefaultIfEmpty(element);
            // The columns' names are given in one row, by their defaults.
            foreach (string field in kinds.Where(kind => kind != typeof(DialogueColumns)).SelectMany(FieldsOf)) yield return field;
        }
    }

    /// <summary>Numbers and first words of the comments that number a method's stages.</summary>
    private static IEnumerable<string> Stages(string file)
    {
        return Regex.Matches(Repository.Read(file), @"^ +// (\d)\. (\w+)", RegexOptions.Multiline)
            .Select(match => $"{match.Groups[1].Value} {match.Groups[2].Value}");
    }

    private static IEnumerable<string> NumberedIn(string page, string heading)
    {
        string section = page[page.IndexOf(heading, StringComparison.Ordinal)..];
        section = section[..section.IndexOf("\n##", StringComparison.Ordinal)];
        return Regex.Matches(section, @"^(\d)\. \**(\w+)", RegexOptions.Multiline)
            .Select(match => $"{match.Groups[1].Value} {match.Groups[2].Value}");
    }

    [GeneratedRegex(@"\]\(([^)#\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"`((?:src|tests|docs|infra|samples|build|\.github)/[A-Za-z0-9_./-]*[A-Za-z0-9_])/?`")]
    private static partial Regex NamedPath();

    [GeneratedRegex("\"(get|post|put|delete)\", Route = \"([^\"]+)\"")]
    private static partial Regex Trigger();
}
