using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Configuration;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Functions.Tests.Hub;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;
using TorchSharp;

namespace RlhfFunctions.Functions.Tests.Compute;

/// <summary>A fault in one activity is not there for the next one.</summary>
public sealed class LoadingFaultTests : IDisposable
{
    private static readonly IdleLimits Limits = new(1L << 30, TimeSpan.FromHours(1));
    private static readonly RunRequest Request = TinyRun.Request("faults");

    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-faults-").FullName;
    private readonly ModelFolders _models;
    private readonly string _container = AzuriteFixture.NewContainerName();
    private readonly ArtifactStore _artifacts;

    public LoadingFaultTests(AzuriteFixture azurite)
    {
        _artifacts = new ArtifactStore(new BlobFiles(azurite.Blobs));
        _models = new ModelFolders(_artifacts, new ModelCacheFolder(Path.Combine(_folder, "cache")));
    }

    [Fact]
    public async Task A_policy_on_which_work_failed_is_let_go_and_others_stay()
    {
        string model = await StoreAsync(TinyModel.Files());
        using var loaded = new LoadedModels(Limits, TimeProvider.System);
        var pool = new PolicyPool(_models, loaded);
        var first = await UseAsync(policy => policy);
        Assert.Same(first, await UseAsync(policy => policy));
        await Assert.ThrowsAsync<OperationCanceledException>(() => UseAsync(_ => throw new OperationCanceledException()));
        await Assert.ThrowsAsync<InvalidInputException>(() => UseAsync(_ => throw new InvalidInputException("")));
        Assert.Same(first, await UseAsync(policy => policy));

        await Assert.ThrowsAsync<InvalidOperationException>(() => UseAsync(_ => throw new InvalidOperationException()));
        Assert.True(first.Policy.ValueHead!.Weight.IsInvalid);
        Assert.NotSame(first, await UseAsync(policy => policy));

        Task<LoadedPolicy> UseAsync(Func<LoadedPolicy, LoadedPolicy> work) => pool.UseAsync(model, Request, 1, work, CancellationToken.None);
    }

    [Fact]
    public async Task Policies_side_by_side_have_one_base_in_memory()
    {
        string model = await StoreAsync(TinyModel.Files());
        using var loaded = new LoadedModels(Limits, TimeProvider.System);
        var pool = new PolicyPool(_models, loaded);
        using var bothWork = new Barrier(2);
        var places = await Task.WhenAll(new[] { 4, 8 }.Select(rank => Task.Run(() => pool.UseAsync(model, Request with { Lora = new LoraSettings { Rank = rank } }, 1, policy =>
        {
            Assert.True(bothWork.SignalAndWait(TimeSpan.FromMinutes(1)));
            return (Policy: policy, Weights: PlaceOf(policy.Policy.Model.parameters().First()));
        }, CancellationToken.None))));
        Assert.NotSame(places[0].Policy, places[1].Policy);
        Assert.Equal(places[0].Weights, places[1].Weights);

        static nint PlaceOf(torch.Tensor weight)
        {
            ref byte first = ref MemoryMarshal.GetReference(weight.bytes); // not the garbage collector's, so it stays where it is
            return Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref first);
        }
    }

    [Fact]
    public void A_policy_that_cannot_be_made_leaves_no_base_in_memory()
    {
        string folder = TinyModel.Write(Path.Combine(_folder, "model"), TinyModel.Files());
        LoadedPolicy.Load(folder, Request).Dispose(); // whatever is built once, is built now
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var wrongTarget = Request with { Lora = new LoraSettings { TargetModules = ["no_proj"] } };
        Assert.Throws<ArgumentException>(() => LoadedPolicy.Load(folder, wrongTarget));
        File.Delete(Path.Combine(folder, "tokenizer.model"));
        Assert.ThrowsAny<Exception>(() => LoadedPolicy.Load(folder, Request));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public async Task A_classifier_that_could_not_be_loaded_is_loaded_the_next_time()
    {
        string judge = Path.Combine(Repository.Root, "samples", "models", "judge");
        string model = await StoreAsync(Directory.GetFiles(judge).ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes));
        string config = Path.Combine(await _models.FetchAsync(model, CancellationToken.None), "config.json");
        using var loaded = new LoadedModels(Limits, TimeProvider.System);
        using var services = new RewardServices(new ConfigurationBuilder().Build());
        var classifiers = new Classifiers(_models, loaded, services);
        var prepared = new PreparedRun("", [], model, "");

        File.Move(config, config + ".away");
        await Assert.ThrowsAnyAsync<Exception>(() => classifiers.FindJudgeAsync(prepared, Request, CancellationToken.None));
        File.Move(config + ".away", config);
        using var found = await classifiers.FindJudgeAsync(prepared, Request, CancellationToken.None);
        Assert.NotNull(found?.Reward);
    }

    [Fact]
    public void A_threads_number_of_threads_is_its_own_from_the_start()
    {
        int threads = 0;
        using var isSet = new ManualResetEventSlim();
        using var isOverruled = new ManualResetEventSlim();
        var worker = new Thread(() =>
        {
            Threads.Use(3);
            isSet.Set();
            isOverruled.Wait();
            threads = torch.get_num_threads();
        });
        worker.Start();
        isSet.Wait();
        Threads.Use(1);
        isOverruled.Set();
        worker.Join();
        Assert.Equal(3, threads);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<string> StoreAsync(IReadOnlyDictionary<string, byte[]> files)
    {
        string path = $"{_container}/model";
        await _artifacts.MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(files, "")), CancellationToken.None);
        return path;
    }
}
