using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace RlhfFunctions.Infra.Tests;

public sealed class DockerfileTests
{
    private static readonly Dockerfile Ours = new(Repository.Read("Dockerfile"));

    [Fact]
    public void The_app_runs_on_Ubuntu_24_04_with_the_host_and_the_payload_where_Microsofts_images_have_them()
    {
        Assert.Equal(["host", "build", "app"], Ours.Stages.Select(stage => stage.Stage));
        Assert.StartsWith("mcr.microsoft.com/azure-functions/dotnet-isolated:4-dotnet-isolated10.0", Ours.Stages[0].Image, StringComparison.Ordinal);
        // noble is Ubuntu 24.04, whose libstdc++ is that of gcc 14; the target framework is what the image has.
        string framework = Regex.Match(Repository.Read("Directory.Build.props"), "<TargetFramework>net(.+)</TargetFramework>").Groups[1].Value;
        Assert.StartsWith($"mcr.microsoft.com/dotnet/sdk:{framework}-noble@sha256:", Ours.Stages[1].Image, StringComparison.Ordinal);
        Assert.StartsWith($"mcr.microsoft.com/dotnet/aspnet:{framework}-noble@sha256:", Ours.Stages[2].Image, StringComparison.Ordinal);

        Assert.Contains("--from=host /azure-functions-host /azure-functions-host", Ours.Of("app", "COPY"));
        var environment = Ours.Environment("app");
        Assert.Equal("/home/site/wwwroot", environment["AzureWebJobsScriptRoot"]);
        Assert.Equal("dotnet-isolated", environment["FUNCTIONS_WORKER_RUNTIME"]);
        Assert.Equal("/azure-functions-host", environment["ASPNETCORE_CONTENTROOT"]);
        Assert.Equal(["/azure-functions-host/Microsoft.Azure.WebJobs.Script.WebHost"], Ours.Exec("app", "ENTRYPOINT"));
        Assert.DoesNotContain(environment.Keys, name => Regex.IsMatch(name, "key|secret|token|connection", RegexOptions.IgnoreCase));
    }

    [Fact]
    public void What_is_copied_comes_from_a_stage_before()
    {
        var known = new List<string>();
        foreach (var instruction in Ours.Instructions)
        {
            if (instruction.Name == "FROM") known.Add(instruction.Stage);
            if (Regex.Match(instruction.Text, @"^--from=(\S+) ") is { Success: true } from && instruction.Name == "COPY")
                Assert.Contains(from.Groups[1].Value, known[..^1]);
        }

        Assert.Equal(3, known.Count);
    }

    [Fact]
    public void The_payload_is_published_by_arguments_that_the_projects_know()
    {
        string publish = Assert.Single(Ours.Of("build", "RUN"));
        var match = Regex.Match(publish,
            @"^dotnet publish (?<project>\S+) --configuration Release --output (?<folder>\S+)(?: --property:(?<name>\w+)=\$\{(?<value>\w+)\})+$");
        Assert.True(match.Success, publish);
        Assert.True(File.Exists(Repository.Path(match.Groups["project"].Value)));
        string[] arguments = [.. match.Groups["value"].Captures.Select(capture => capture.Value)];
        Assert.Equal(["FUNCTIONS_ROLE=all", "TORCH_BACKEND=cpu"], Ours.Of("build", "ARG"));
        Assert.Equal(["FUNCTIONS_ROLE", "TORCH_BACKEND"], arguments);
        string projects = Repository.Read(match.Groups["project"].Value) + Repository.Read("build", "TorchBackend.props");
        Assert.All(match.Groups["name"].Captures, property => Assert.Contains($"$({property.Value})", projects, StringComparison.Ordinal));
        Assert.Contains($"--from=build --chown=$APP_UID:$APP_UID {match.Groups["folder"].Value} /home/site/wwwroot", Ours.Of("app", "COPY"));
    }

    [Fact]
    public void It_does_not_run_as_root_and_listens_where_that_is_allowed()
    {
        var ofApp = Ours.Instructions.Where(instruction => instruction.Stage == "app").Select(instruction => instruction.Name).ToList();
        Assert.Equal("$APP_UID", Assert.Single(Ours.Of("app", "USER")));
        Assert.True(ofApp.IndexOf("USER") > ofApp.LastIndexOf("RUN"), "What runs at build time runs before the user changes.");
        Assert.True(ofApp.IndexOf("USER") < ofApp.IndexOf("ENTRYPOINT"));
        string port = Assert.Single(Ours.Of("app", "EXPOSE"));
        Assert.Equal($"http://+:{port}", Ours.Environment("app")["ASPNETCORE_URLS"]);
        Assert.True(int.Parse(port, System.Globalization.CultureInfo.InvariantCulture) >= 1024);
    }

    [Theory]
    [InlineData("200 OK", 0)]
    [InlineData("500 Internal Server Error", 1)]
    [InlineData(null, 1)]
    public async Task The_health_check_passes_only_when_the_host_answers(string? status, int expected)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The check is bash's.");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        if (status is null) listener.Stop();
        var served = status is null ? Task.CompletedTask : AnswerAsync(listener, status);

        string[] command = Ours.Exec("app", "HEALTHCHECK");
        string exposed = Assert.Single(Ours.Of("app", "EXPOSE"));
        Assert.Contains($"/127.0.0.1/{exposed} ", command[^1], StringComparison.Ordinal);
        var start = new ProcessStartInfo(command[0], [.. command[1..^1], command[^1].Replace($"/{exposed} ", $"/{port} ", StringComparison.Ordinal)])
        {
            RedirectStandardError = true,
        };
        using var check = Process.Start(start)!;
        await check.WaitForExitAsync(TestContext.Current.CancellationToken);
        await served;
        Assert.Equal(expected, check.ExitCode);
    }

    [Theory]
    [InlineData("api")]
    [InlineData("gpu")]
    public void Azd_builds_it_for_each_role(string service)
    {
        var docker = AzdProject.Docker(service);
        Assert.True(File.Exists(Repository.Path(docker.Text("path"))));
        var arguments = docker.Texts("buildArgs").Select(argument => argument.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert.Equal(Ours.Of("build", "ARG").Select(argument => argument.Split('=')[0]).Order(), arguments.Keys.Order());
        Assert.Equal(service, arguments["FUNCTIONS_ROLE"]);
        Assert.Equal(service == "api" ? "cpu" : "${TORCH_BACKEND=cuda}", arguments["TORCH_BACKEND"]);
        Assert.True(File.Exists(Repository.Path(AzdProject.Root.Map("infra").Text("path"), "main.bicepparam")));
    }

    [Theory]
    [InlineData("host.json", false)]
    [InlineData("global.json", false)]
    [InlineData("Directory.Build.props", false)]
    [InlineData("Directory.Packages.props", false)]
    [InlineData("src/Functions/Functions.csproj", false)]
    [InlineData("src/Functions/Orchestration/BannedSymbols.txt", false)]
    [InlineData("src/Contracts/BlobPaths.cs", false)]
    [InlineData("build/CureTorchSharp.cs", false)]
    [InlineData("samples/demo.json", false)]
    [InlineData("samples/models/llama/config.json", false)]
    [InlineData("samples/dialogues/train.csv", false)]
    [InlineData("local.settings.json", true)]
    [InlineData("src/Functions/local.settings.json", true)]
    [InlineData(".git/config", true)]
    [InlineData(".rlhf/azurite/blob", true)]
    [InlineData("node_modules/azurite/package.json", true)]
    [InlineData("src/Functions/bin/Release/net10.0/x.dll", true)]
    [InlineData("src/Functions/obj/project.assets.json", true)]
    [InlineData("tests/Infra.Tests/Bicep.cs", true)]
    [InlineData("README.md", true)]
    public void The_context_has_what_the_build_reads_and_nothing_private(string file, bool ignored)
    {
        if (!ignored) Assert.True(File.Exists(Repository.Path(file)), $"{file} is gone.");
        var patterns = Repository.Read(".dockerignore").Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.StartsWith('#'));
        Assert.Equal(ignored, patterns.Any(pattern => IsMatch(pattern, file)));
    }

    /// <summary>Docker's patterns, as far as ours go: a pattern also covers what lies below it, ** is any number of folders, * stays in one.</summary>
    private static bool IsMatch(string pattern, string file)
    {
        string expression = Regex.Escape(pattern).Replace(@"\*\*/", "(.*/)?", StringComparison.Ordinal)
            .Replace(@"\*", "[^/]*", StringComparison.Ordinal);
        return Regex.IsMatch(file, $"^{expression}(/.*)?$");
    }

    private static async Task AnswerAsync(TcpListener listener, string status)
    {
        using var client = await listener.AcceptTcpClientAsync();
        await using var stream = client.GetStream();
        byte[] buffer = new byte[1024];
        var request = new StringBuilder();
        while (!request.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            request.Append(Encoding.ASCII.GetString(buffer, 0, await stream.ReadAsync(buffer)));
        Assert.StartsWith("GET / HTTP/1.0\r\n", request.ToString(), StringComparison.Ordinal);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\n\r\n"));
    }
}
