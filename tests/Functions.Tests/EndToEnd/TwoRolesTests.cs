using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Azure.Storage.Queues;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>
/// The two roles of the app, published as the Dockerfile publishes them, each in a host of its own, on one task hub: as in Azure, where a
/// scale rule starts the gpu app.
/// </summary>
[Trait("Category", "Slow")]
public sealed class TwoRolesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-roles-").FullName;

    [Fact]
    public async Task A_run_that_api_started_waits_for_gpu_which_finishes_it()
    {
        using var api = new LocalApp { AppFolder = await PublishAsync("api") };
        using var gpu = new LocalApp { AppFolder = await PublishAsync("gpu") };
        await using var receiver = await WebhookReceiver.StartAsync();
        var hooks = new Dictionary<string, string> { ["RlhfWebhookHosts"] = receiver.Address.Authority, ["RlhfWebhookSecret"] = WebhookReceiver.Secret };
        await api.StartAsync(hooks);
        foreach (string run in new[] { "two-roles", "given-up" })
        {
            using var started = await api.PostRunAsync(TinyRun.Request(run) with { Notify = new NotifySettings { Url = $"{receiver.Address}steady/{run}" } });
            Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        }

        using (var body = new StringContent("", Encoding.UTF8, "application/json"))
        using (var cancelled = await api.Http.PostAsync(new Uri("/api/runs/given-up/cancel", UriKind.Relative), body)) Assert.Equal(HttpStatusCode.Accepted, cancelled.StatusCode);

        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.Equal("Pending", (await api.FindRunAsync("two-roles"))!.Status);
        var queues = new List<string>();
        await foreach (var queue in new QueueServiceClient(api.ConnectionString).GetQueuesAsync(prefix: "rlhfhub")) queues.Add(queue.Name);
        Assert.Equal(["rlhfhub-control-00", "rlhfhub-workitems"], queues); // what the scale rules of infra/bicep watch

        await gpu.StartAsync(new Dictionary<string, string>(hooks)
        {
            ["AzureWebJobsStorage"] = api.ConnectionString,
            ["AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"] = "1",
        });
        await api.WaitAsync("two-roles", view => view.Status == "Completed", TimeSpan.FromMinutes(3));
        Assert.Equal("run.finished", Assert.Single(await receiver.WaitAsync("/steady/two-roles")).Json.GetProperty("type").GetString());
        Assert.Equal("run.cancelled", Assert.Single(await receiver.WaitAsync("/steady/given-up")).Json.GetProperty("type").GetString());
        using var report = await api.Http.GetAsync(new Uri("/api/runs/two-roles/report", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, report.StatusCode);
        using var none = await gpu.Http.GetAsync(new Uri("/api/health", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Runs the Dockerfile's own command, on the CPU.</summary>
    /// <returns>Where the role's payload lies.</returns>
    private async Task<string> PublishAsync(string role)
    {
        string dockerfile = Regex.Replace(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "Dockerfile")), @"\\\n\s*", "");
        string command = Regex.Match(dockerfile, "^RUN dotnet (publish .*)$", RegexOptions.Multiline).Groups[1].Value
            .Replace("${FUNCTIONS_ROLE}", role, StringComparison.Ordinal).Replace("${TORCH_BACKEND}", "cpu", StringComparison.Ordinal);
        Assert.Matches(@"^publish [^$]*--output /app [^$]*$", command);
        string output = Path.Combine(_folder, role);
        string[] arguments = [.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(argument => argument switch
        {
            "/app" => output,
            "src/Functions/Functions.csproj" => Path.Combine(Repository.Root, argument),
            _ => argument,
        })];
        using var publish = HostProcess.Run("dotnet", arguments);
        int exitCode = await publish.WaitAsync(TimeSpan.FromMinutes(8));
        Assert.True(exitCode == 0, publish.Output + publish.Error);
        return output;
    }
}
