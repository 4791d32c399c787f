using System.Net;
using System.Net.Http.Json;
using System.Text;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A host with ports and a data folder that outlive its process, so that it can be killed and started again.</summary>
internal sealed class LocalApp : IDisposable
{
    private readonly HttpClient _http;
    private readonly int _port = AzuriteFixture.FreePort();
    private readonly int _azuritePort = AzuriteFixture.FreePorts();
    private HostProcess? _process;

    public LocalApp()
    {
        _http = new HttpClient { BaseAddress = new Uri($"http://localhost:{_port}") };
        ConnectionString = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
            + "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
            + $"BlobEndpoint=http://127.0.0.1:{_azuritePort}/devstoreaccount1;QueueEndpoint=http://127.0.0.1:{_azuritePort + 1}/devstoreaccount1;"
            + $"TableEndpoint=http://127.0.0.1:{_azuritePort + 2}/devstoreaccount1;";
        Blobs = new BlobServiceClient(ConnectionString);
    }

    public HttpClient Http => _http;

    public BlobServiceClient Blobs { get; }

    /// <summary>Of its Azurite, for another host on the same hub.</summary>
    public string ConnectionString { get; }

    public string DataFolder { get; } = Directory.CreateTempSubdirectory("rlhf-app-").FullName;

    public IReadOnlyList<string> HostArguments =>
        ["--port", $"{_port}", "--azurite-port", $"{_azuritePort}", "--data", DataFolder, .. IsVerbose ? ["--verbose"] : Array.Empty<string>(), .. AppFolder is null ? Array.Empty<string>() : ["--app", AppFolder]];

    /// <summary>Whether what is ordinary is logged too.</summary>
    public bool IsVerbose { get; init; }

    /// <summary>What the host that was started last has said.</summary>
    public string Log => _process!.Output + _process.Error;

    /// <summary>Another app than the one built in the repository.</summary>
    public string? AppFolder { get; init; }

    /// <summary>Starts the host and waits until it answers.</summary>
    public async Task StartAsync(IReadOnlyDictionary<string, string>? environment = null)
    {
        _process = HostProcess.Start(["start", .. HostArguments], environment: environment);
        for (var deadline = DateTime.UtcNow.AddSeconds(120); ;)
        {
            try
            {
                using var answer = await _http.GetAsync(new Uri("/api/runs/none", UriKind.Relative));
                return;
            }
            catch (HttpRequestException) when (DateTime.UtcNow < deadline && !_process.HasExited)
            {
                await Task.Delay(100);
            }
            catch (HttpRequestException e)
            {
                throw new InvalidOperationException($"The host does not answer. Output:\n{_process.Output}\nError:\n{_process.Error}", e);
            }
        }
    }

    /// <summary>kill -9 for the host; its worker must be gone soon after.</summary>
    public async Task KillHostAsync()
    {
        int worker = _process!.WorkerId;
        _process.Kill();
        for (var deadline = DateTime.UtcNow.AddSeconds(10); HostProcess.IsRunning(worker); await Task.Delay(20))
            Assert.True(DateTime.UtcNow < deadline, "The worker outlived its host by 10 s.");
    }

    /// <summary>kill -9 for the worker.</summary>
    public void KillWorker()
    {
        _process!.KillWorker();
    }

    /// <summary>Waits until Azurite has saved a blob: it keeps its books in memory and writes them every five seconds.</summary>
    public async Task WaitUntilSavedAsync(string path, TimeSpan timeout)
    {
        string name = path[(path.IndexOf('/', StringComparison.Ordinal) + 1)..];
        string books = Path.Combine(DataFolder, "__azurite_db_blob__.json");
        for (var deadline = DateTime.UtcNow + timeout; !(File.Exists(books) && (await File.ReadAllTextAsync(books)).Contains(name, StringComparison.Ordinal)); await Task.Delay(50))
            Assert.True(DateTime.UtcNow < deadline, $"Azurite has not saved {path} in {timeout}.");
    }

    /// <summary>kill -9 or SIGTERM for Azurite.</summary>
    public void EndAzurite(bool kill)
    {
        HostProcess.EndAzurite(DataFolder, kill);
    }

    /// <summary>Posts a run, again where the app asks for that: one that has just started on a busy machine may not answer in the time it allows itself.</summary>
    public async Task<HttpResponseMessage> PostRunAsync(object request)
    {
        for (int attempt = 1; ; attempt++)
        {
            var answer = await _http.PostAsJsonAsync("/api/runs", request, ContractsJson.Options);
            if (answer.StatusCode != HttpStatusCode.ServiceUnavailable || attempt == 5) return answer;
            answer.Dispose();
            await Task.Delay(TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>The run's view, or null when the app does not know it, or is just starting anew.</summary>
    public async Task<RunView?> FindRunAsync(string runId)
    {
        using var answer = await GetOrNullAsync($"/api/runs/{runId}");
        if (answer is null or { StatusCode: HttpStatusCode.NotFound or HttpStatusCode.ServiceUnavailable }) return null;
        Assert.True(answer.IsSuccessStatusCode, $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}\nHost:\n{_process?.Error}");
        return await answer.Content.ReadFromJsonAsync<RunView>(ContractsJson.Options);
    }

    /// <summary>Waits until a run satisfies a condition; a failed run ends the wait with its reason.</summary>
    public async Task<RunView> WaitAsync(string runId, Func<RunView, bool> until, TimeSpan timeout)
    {
        for (var deadline = DateTime.UtcNow + timeout; ;)
        {
            var view = await FindRunAsync(runId);
            if (view is not null && until(view)) return view;
            Assert.False(view?.Status is "Failed" or "Terminated", $"The run ended as {view?.Status}: {view?.Failure}");
            Assert.False(_process!.HasExited, $"The host ended:\n{_process.Error}");
            Assert.True(DateTime.UtcNow < deadline, $"Run {runId} took longer than {timeout}; last seen: {view?.Status}, {view?.Progress}. Host:\n{_process!.Error}");
            await Task.Delay(50);
        }
    }

    /// <summary>Null while nobody answers.</summary>
    private async Task<HttpResponseMessage?> GetOrNullAsync(string path)
    {
        try
        {
            return await _http.GetAsync(new Uri(path, UriKind.Relative));
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    public async Task<byte[]> ReadBlobAsync(string path)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        var content = await Blobs.GetBlobContainerClient(path[..slash]).GetBlobClient(path[(slash + 1)..]).DownloadContentAsync();
        return content.Value.Content.ToArray();
    }

    public async Task WriteBlobAsync(string path, BinaryData content)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        var container = Blobs.GetBlobContainerClient(path[..slash]);
        await container.CreateIfNotExistsAsync();
        await container.GetBlobClient(path[(slash + 1)..]).UploadAsync(content, overwrite: true);
    }

    /// <summary>Lets another run have finished as one has.</summary>
    public async Task PlantTwinAsync(string run, string twin)
    {
        var container = Blobs.GetBlobContainerClient(BlobPaths.Runs);
        await foreach (var blob in container.GetBlobsAsync(new GetBlobsOptions { Prefix = $"{run}/" }))
        {
            byte[] content = await ReadBlobAsync($"{BlobPaths.Runs}/{blob.Name}");
            if (blob.Name == $"{run}/request.json" || blob.Name.EndsWith("/manifest.json", StringComparison.Ordinal))
            {
                string text = Encoding.UTF8.GetString(content).Replace($"runs/{run}/", $"runs/{twin}/", StringComparison.Ordinal);
                content = Encoding.UTF8.GetBytes(System.Text.RegularExpressions.Regex.Replace(text, $"\"runId\":( ?)\"{run}\"", $"\"runId\":$1\"{twin}\""));
            }

            await WriteBlobAsync($"{BlobPaths.Runs}/{twin}{blob.Name[run.Length..]}", BinaryData.FromBytes(content));
        }
    }

    public void Dispose()
    {
        _process?.Dispose();
        EndAzurite(kill: true);
        _http.Dispose();
        Directory.Delete(DataFolder, recursive: true);
    }
}
