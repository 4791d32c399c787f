using System.Net;
using System.Reflection;
using Azure.Storage.Queues;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>The two roles of the app, each in a host of its own, on one task hub: as in Azure, where a scale rule starts the gpu app.</summary>
[Trait("Category", "Slow")]
public sealed class TwoRolesTests
{
    [Fact]
    public async Task A_run_that_api_started_waits_for_gpu_which_finishes_it()
    {
        using var api = new LocalApp { AppFolder = await BuildAsync("api") };
        using var gpu = new LocalApp { AppFolder = await BuildAsync("gpu") };
        await api.StartAsync();
        using var started = await api.PostRunAsync(TinyRun.Request("two-roles"));
        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);

        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.Equal("Pending", (await api.FindRunAsync("two-roles"))!.Status);
        var queues = new List<string>();
        await foreach (var queue in new QueueServiceClient(api.ConnectionString).GetQueuesAsync(prefix: "rlhfhub")) queues.Add(queue.Name);
        Assert.Equal(["rlhfhub-control-00", "rlhfhub-workitems"], queues); // what the scale rules of infra/bicep watch

        await gpu.StartAsync(new Dictionary<string, string>
        {
            ["AzureWebJobsStorage"] = api.ConnectionString,
            ["AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"] = "1",
        });
        await api.WaitAsync("two-roles", view => view.Status == "Completed", TimeSpan.FromMinutes(3));
        using var report = await api.Http.GetAsync(new Uri("/api/runs/two-roles/report", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, report.StatusCode);
        using var none = await gpu.Http.GetAsync(new Uri("/api/health", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    /// <returns>Where the role's app lies.</returns>
    private static async Task<string> BuildAsync(string role)
    {
        string project = Path.Combine(Repository.Root, "src", "Functions");
        string configuration = typeof(HostSession).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        using var build = HostProcess.Run("dotnet", "build", project, "--no-restore", "--no-dependencies", "-c", configuration, $"-p:FunctionsRole={role}");
        int exitCode = await build.WaitAsync(TimeSpan.FromMinutes(5));
        Assert.True(exitCode == 0, build.Output + build.Error);
        string config = Assert.Single(Directory.GetFiles(Path.Combine(project, "bin", role, configuration), "worker.config.json", SearchOption.AllDirectories));
        return Path.GetDirectoryName(config)!;
    }
}
