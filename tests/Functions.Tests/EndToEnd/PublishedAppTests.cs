using System.Net.Http.Json;
using System.Reflection;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>What <c>dotnet publish src/Functions</c> gives is whole: it starts by itself, and a model in it writes.</summary>
public sealed class PublishedAppTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-published-").FullName;

    [Fact]
    public async Task A_published_app_is_complete_and_runs()
    {
        string configuration = typeof(HostSession).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        using (var publish = HostProcess.Run("dotnet", "publish", Path.Combine(Repository.Root, "src", "Functions"), "--no-build", "-c", configuration, "-o", _folder))
        {
            int exitCode = await publish.WaitAsync(TimeSpan.FromMinutes(2));
            Assert.True(exitCode == 0, publish.Output + publish.Error);
        }

        string[] files = [.. Directory.GetFiles(_folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(_folder, file))];
        Assert.DoesNotContain("local.settings.json", files);
        Assert.Superset(
            new HashSet<string>
            {
                "host.json", "worker.config.json", "functions.metadata", "extensions.json", "RlhfFunctions.Functions.dll",
                ".azurefunctions/Microsoft.Azure.WebJobs.Extensions.DurableTask.dll", ".azurefunctions/Microsoft.Azure.WebJobs.Extensions.Storage.Blobs.dll",
            },
            files.ToHashSet());
        string[] samples = [.. new[] { "models", "dialogues" }.SelectMany(folder => Directory.GetFiles(Path.Combine(Repository.Root, "samples", folder), "*", SearchOption.AllDirectories))
            .Concat(Directory.GetFiles(Path.Combine(Repository.Root, "samples"), "*.json")).Select(file => Path.GetRelativePath(Repository.Root, file))];
        Assert.NotEmpty(samples);
        Assert.Superset(samples.ToHashSet(), files.ToHashSet());

        using var app = new LocalApp { AppFolder = _folder };
        await app.StartAsync(new Dictionary<string, string> { ["RlhfFileRoot"] = _folder });
        using var answer = await app.Http.PostAsJsonAsync("/api/generate", new { prompts = new[] { "Hello" }, maxNewTokens = 4 });
        var texts = await answer.Content.ReadFromJsonAsync<GenerateAnswer>(ContractsJson.Options);
        Assert.InRange(Assert.Single(texts!.Texts).Tokens, 1, 4);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }
}
