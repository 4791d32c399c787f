using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Serving;

/// <summary>An adapter that a GPU trained is served where there is none, if the settings say so.</summary>
public sealed class ServingDeviceTests(AzuriteFixture azurite)
{
    [Theory]
    [InlineData(null, "cuda")]
    [InlineData("cpu", "cpu")]
    public async Task Policies_are_served_on_the_device_of_the_setting_or_of_their_run(string? setting, string device)
    {
        await using var services = new ServiceCollection().AddRlhf(new ConfigurationBuilder().AddInMemoryCollection(
        [
            new("AzureWebJobsStorage", azurite.ConnectionString),
            new("RlhfServingDevice", setting),
        ]).Build()).BuildServiceProvider();
        var run = JsonSerializer.Deserialize<RunRequest>(File.ReadAllBytes(Path.Combine(Repository.Root, "samples", "demo.json")), ContractsJson.Strict)!;
        run = run with { RunId = $"served-{Guid.NewGuid():n}", Compute = run.Compute with { Device = "cuda" } };
        await services.GetRequiredService<RunRequests>().TryRecordAsync(run, CancellationToken.None);
        var outcome = new RunOutcome(run.RunId, 0.5, 0.1, Published: true, new PreparedRun("models/base", [], "models/judge", "dataset"), Steps: 3);
        await services.GetRequiredService<ArtifactStore>().PublishOnceAsync(
            BlobPaths.Run(run.RunId), _ => Task.FromResult(new NewArtifact<RunOutcome>(new Dictionary<string, byte[]>(), outcome)), CancellationToken.None);

        var served = await services.GetRequiredService<ServedPolicies>().OfRunAsync(run.RunId, CancellationToken.None);
        Assert.Equal(device, served!.Request.Compute.Device);
        Assert.Equal(3, served.Step);
    }
}
