using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Hub;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>The import command as a user types it.</summary>
public sealed class ImportTests(AzuriteFixture azurite) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-import-").FullName;

    [Fact]
    public async Task Killed_while_it_fetches_it_leaves_nothing_visible_and_the_same_command_ends_it()
    {
        await using var server = await HubServer.StartAsync();
        server.Add("tiny/killed", TinyModel.Files());
        server.Script("model.safetensors", HubServer.Stall(1000));
        var environment = new Dictionary<string, string> { ["AzureWebJobsStorage"] = azurite.ConnectionString, ["HF_ENDPOINT"] = $"{server.Address}" };
        string[] command = ["import", "hf:tiny/killed", "--precision", "nf4", "--data", _folder];
        string path = $"models/tiny--killed-{HubServer.Commit[..12]}";
        var artifacts = new ArtifactStore(new BlobFiles(azurite.Blobs));

        using (var killed = HostProcess.Start(command, environment: environment))
        {
            for (var deadline = DateTime.UtcNow + Patience; !server.FilesAskedFor.Contains("model.safetensors");)
            {
                Assert.False(killed.HasExited, killed.Error);
                Assert.True(DateTime.UtcNow < deadline, $"The weights were never asked for:\n{killed.Output}");
                await Task.Delay(50);
            }

            killed.Kill();
        }

        Assert.Null(await artifacts.FindAsync<object>(path, CancellationToken.None));
        using var again = HostProcess.Start(command, environment: environment);
        Assert.Equal(0, await again.WaitAsync(Patience));
        Assert.Equal($"blob:{path}-nf4", again.Output.TrimEnd().Split('\n')[^1].TrimEnd());
        Assert.Contains("model.safetensors: ", again.Output, StringComparison.Ordinal);
        Assert.NotNull(await artifacts.FindAsync<string>($"{path}-nf4", CancellationToken.None));
        Assert.Equal(1, server.FilesAskedFor.Count(file => file == "config.json"));
    }

    [Fact]
    public async Task A_folder_goes_into_the_Azurite_of_the_data_folder_whether_a_host_runs_there_or_not()
    {
        using var app = new LocalApp();
        string model = TinyModel.Write(Path.Combine(_folder, "mine"), TinyModel.Files());
        using (var import = HostProcess.Start(["import", model, .. app.HostArguments]))
        {
            Assert.Equal(0, await import.WaitAsync(Patience));
            string source = import.Output.TrimEnd().Split('\n')[^1].TrimEnd();
            Assert.StartsWith("blob:models/mine-", source, StringComparison.Ordinal);
            Assert.IsType<BlobSource>(Source.Parse(source));
        }

        await app.StartAsync();
        using var again = HostProcess.Start(["import", model + "/", .. app.HostArguments]);
        Assert.Equal(0, await again.WaitAsync(Patience));
        Assert.Null(await app.FindRunAsync("none")); // the host still has its Azurite
        Assert.DoesNotContain("model.safetensors: ", again.Output, StringComparison.Ordinal); // it is there already
    }

    [Theory]
    [InlineData("tiny/llama", "hf:owner/name")]
    [InlineData("hf:llama", "hf:owner/name")]
    [InlineData("hf:no/body", "HF_TOKEN")]
    public async Task What_cannot_be_imported_ends_it_with_a_paragraph(string model, string advises)
    {
        await using var server = await HubServer.StartAsync();
        var environment = new Dictionary<string, string> { ["AzureWebJobsStorage"] = azurite.ConnectionString, ["HF_ENDPOINT"] = $"{server.Address}" };
        using var import = HostProcess.Start(["import", model, "--data", _folder], environment: environment);
        Assert.Equal(1, await import.WaitAsync(Patience));
        Assert.Contains(advises, import.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", import.Error, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }
}
