using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>A host's services, with nothing in memory that another host has.</summary>
internal sealed class ActivityHost : IDisposable
{
    private readonly string _cache = Directory.CreateTempSubdirectory("rlhf-models-").FullName;
    private readonly ServiceProvider _services;

    public ActivityHost(AzuriteFixture azurite)
    {
        _services = new ServiceCollection().AddRlhf(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AzureWebJobsStorage"] = azurite.ConnectionString,
            ["RlhfFileRoot"] = Repository.Root,
            ["RlhfCache"] = _cache,
        }).Build()).BuildServiceProvider();
    }

    public T Get<T>()
        where T : notnull
    {
        return _services.GetRequiredService<T>();
    }

    /// <summary>A function's class, made as the worker makes it.</summary>
    public T New<T>()
    {
        return ActivatorUtilities.CreateInstance<T>(_services);
    }

    /// <summary>Records a run and prepares what its steps need.</summary>
    public async Task<PreparedRun> PrepareAsync(RunRequest request)
    {
        await Get<RunRequests>().TryRecordAsync(request, CancellationToken.None);
        var models = new List<string>();
        foreach (string source in new[] { request.Model.Source, request.Reward!.Classifiers.Single().Source, request.Evaluation.Judge! })
            models.Add(await New<PrepareModel>().Run(new PrepareModelInput(source), CancellationToken.None));
        await New<PrepareAdapter>().Run(new PrepareAdapterInput(request.RunId!, models[0]), CancellationToken.None);
        string dataset = await New<PrepareDataset>().Run(new PrepareDatasetInput(request.RunId!, models[0]), CancellationToken.None);
        return new PreparedRun(models[0], [models[1]], models[2], dataset);
    }

    /// <summary>All blobs whose path starts so, by path.</summary>
    public async Task<SortedDictionary<string, string>> SnapshotAsync(string prefix)
    {
        var blobs = Get<BlobFiles>();
        var contents = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var blob in await blobs.ListAsync(prefix, CancellationToken.None))
        {
            var content = await (await blobs.BlobAsync(blob.Path)).DownloadContentAsync();
            contents[blob.Path] = Convert.ToBase64String(content.Value.Content);
        }

        return contents;
    }

    public void Dispose()
    {
        _services.Dispose();
        Directory.Delete(_cache, recursive: true);
    }
}
