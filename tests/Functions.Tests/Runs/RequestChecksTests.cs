using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Campaigns;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Functions.Tests.Hub;
using RlhfFunctions.Hosting;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>What can be known before a run is refused before it, by field and with what to do.</summary>
public sealed class RequestChecksTests(AzuriteFixture azurite)
{
    private static readonly RunRequest Request = TinyRun.Request("checked");

    private static readonly Dictionary<string, (RunRequest Request, string Field, string Says)> Wrong = new()
    {
        ["a target that is not there"] = (Request with { Lora = new LoraSettings { TargetModules = ["q_proj", "c_attn"] } }, "lora.targetModules", "'c_attn'; it has down_proj"),
        ["no room for a prompt"] = (Request with { Generation = new GenerationSettings { MaxNewTokens = 320 } }, "generation.maxNewTokens", "context of 320 tokens"),
        ["an unknown id"] = (Request with { Generation = new GenerationSettings { EndOfTextIds = [2, 99_999] } }, "generation.endOfTextIds", "one is 99999"),
        ["the judge's label"] = (Request with { Evaluation = Request.Evaluation with { Label = "rude" } }, "evaluation.label", "no label \"rude\""),
        ["a reward's label"] = (WithTerm(new ClassifierTerm { Source = "file:samples/models/reward", Label = "polite" }), "reward.terms[0].label", "no label \"polite\""),
        ["a reward's judged label"] = (WithTerm(new ClassifierTerm { Source = "file:samples/models/reward", JudgedLabel = "rude" }), "reward.terms[0].judgedLabel", "no label \"rude\""),
        ["no classifier"] = (WithTerm(new ClassifierTerm { Source = "file:samples/models/llama" }), "reward.terms[0].source", "a language model"),
        ["a classifier as base"] = (Request with { Model = new ModelSettings { Source = "file:samples/models/judge" } }, "model.source", "model_type"),
        ["a folder outside"] = (Request with { Model = new ModelSettings { Source = "file:/etc" } }, "model.source", "RlhfFileRoots"),
        ["a file outside"] = (Request with { Data = Request.Data with { Train = "file:/etc/passwd" } }, "data.train", "RlhfFileRoots"),
        ["another container"] = (Request with { Data = Request.Data with { Test = "blob:azure-webjobs-secrets/host.json" } }, "data.test", "the container dialogues"),
        ["a model elsewhere"] = (Request with { Model = new ModelSettings { Source = "blob:runs/x/adapter" } }, "model.source", "the container models"),
        ["no such blob"] = (Request with { Data = Request.Data with { Test = "blob:dialogues/no-such.csv" } }, "data.test", "Upload the file"),
        ["no GPU"] = (Request with { Compute = new ComputeSettings { Device = "cuda" } }, "compute.device", "no CUDA device"),
        ["a product that overflows"] = (Request with { Ppo = Request.Ppo! with { MiniBatchSize = 65_536, GradientAccumulationSteps = 65_536 } }, "ppo.batchSize", "4294967296"),
        ["no word on the list"] = (WithTerm(new WordsTerm { Words = [] }), "reward.terms[0].words", "must not be empty"),
        ["fewer rows than a batch"] = (Request with { Data = Request.Data with { TrainRows = 7 } }, "data.trainRows", "must not be below 8"),
        ["an endless name"] = (Request with { Data = Request.Data with { Columns = new DialogueColumns { Topic = new string('t', 5000) } } }, "data.columns.topic", "4096 characters"),
        ["too many terms"] = (Request with { Reward = new RewardSettings { Terms = [.. Enumerable.Range(0, 65).Select(i => new RepetitionTerm { Name = $"t{i}" })] } }, "reward.terms", "more than 64"),
        ["no campaign"] = (WithVotesOf("no-such"), "data.preferences", "there is no no-such"),
        ["a webhook elsewhere"] = (Request with { Notify = new NotifySettings { Url = "http://169.254.169.254/metadata" } }, "notify.url", "RlhfWebhookHosts"),
        ["a webhook that is no address"] = (Request with { Notify = new NotifySettings { Url = "ftp://hooks.example" } }, "notify.url", "http:// or https://"),
        ["no number"] = (Request with { Lora = new LoraSettings { Alpha = double.PositiveInfinity } }, "lora.alpha", "Infinity"),
    };

    public static TheoryData<string> WrongNames => [.. Wrong.Keys];

    [Theory]
    [MemberData(nameof(WrongNames))]
    public async Task What_is_wrong_is_named_with_what_to_do(string name)
    {
        var (request, field, says) = Wrong[name];
        await using var host = Host();
        var errors = await host.GetRequiredService<RequestChecks>().CheckAsync(request, CancellationToken.None);
        Assert.Equal(field, Assert.Single(errors).Key);
        Assert.Contains(says, string.Join(' ', errors[field]), StringComparison.Ordinal);
        Assert.DoesNotContain(Repository.Root, string.Join(' ', errors[field]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Votes_of_a_campaign_are_learned_from_once_it_is_open_and_only_with_its_prompts()
    {
        await using var host = Host();
        string id = $"asked-{Guid.NewGuid():n}";
        var votes = WithVotesOf(id);
        var blobs = host.GetRequiredService<BlobFiles>();
        var waiting = new CampaignRequest { CampaignId = id + "-w", Model = votes.Model, Dialogues = votes.Data.Test };
        await blobs.TryRecordAsync(BlobPaths.Campaign(waiting.CampaignId), waiting, CancellationToken.None);
        await PlantedCampaign.PlantAsync(blobs, id, pairs: 2, "base", "base", same => same);

        await SaysAsync(votes with { Data = votes.Data with { Preferences = $"campaign:{id}-w" } }, "data.preferences", "still being generated");
        await SaysAsync(votes with { Data = votes.Data with { PromptTemplate = "Shorten: {dialogue}" } }, "data.promptTemplate", $"that of campaign {id}");
        await SaysAsync(votes with { Data = votes.Data with { Chat = true } }, "data.chat", "its prompts are texts");
        await SaysAsync(votes with { Data = votes.Data with { Preferences = "campaign:No/Such" } }, "data.preferences", "campaign:ID");
        Assert.Empty(await host.GetRequiredService<RequestChecks>().CheckAsync(votes, CancellationToken.None));

        async Task SaysAsync(RunRequest request, string field, string says)
        {
            var errors = await host.GetRequiredService<RequestChecks>().CheckAsync(request, CancellationToken.None);
            Assert.Equal(field, Assert.Single(errors).Key);
            Assert.Contains(says, string.Join(' ', errors[field]), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_weak_reward_model_steers_a_run_only_where_that_is_acknowledged()
    {
        await using var host = Host();
        string id = $"weak-{Guid.NewGuid():n}";
        string? refusal = "its held-out accuracy is no better than chance";
        var share = new MetricSummary(0.5, 0.5, 0.4, 0.6, 10);
        var report = new RewardReport
        {
            Comparisons = 10,
            Decided = 10,
            Accuracy = share,
            ShorterAccuracy = share,
            LeadOverShorter = share,
            Brier = 0.25,
            CalibrationError = 0,
            Reliability = [],
            LengthCorrelation = 0,
            Refusal = refusal,
        };
        await PlantAsync(id, report);
        await PlantAsync($"{id}.1", report with { Refusal = null });
        var term = new ClassifierTerm { Source = $"blob:models/{id}", Label = "better" };
        var good = term with { Source = term.Source + ".1" };

        Assert.Contains(refusal, await SaidAsync(WithTerm(term), "reward.terms[0].source"), StringComparison.Ordinal);
        Assert.Contains(refusal, await SaidAsync(WithTerm(new EnsembleTerm { Members = [good, term] }), "reward.terms[0].members[1].source"), StringComparison.Ordinal);
        Assert.Equal("", await SaidAsync(WithTerm(term with { AcceptWeak = true }), ""));
        Assert.Equal("", await SaidAsync(WithTerm(new EnsembleTerm { Members = [good, good] }), ""));

        async Task<string> SaidAsync(RunRequest request, string field)
        {
            var errors = await host.GetRequiredService<RequestChecks>().CheckAsync(request, CancellationToken.None);
            Assert.Equal(field, errors.Count == 0 ? "" : Assert.Single(errors).Key);
            return string.Join(' ', errors.Values.SelectMany(said => said));
        }

        // What PublishReward leaves, as far as a request is checked by it.
        Task PlantAsync(string name, RewardReport said)
        {
            byte[] config = Encoding.UTF8.GetBytes("""{"architectures":["LlamaForSequenceClassification"],"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":32,"max_position_embeddings":32,"rms_norm_eps":1e-6,"id2label":{"0":"better"},"label2id":{"better":0}}""");
            byte[] outcome = System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(new RewardOutcome(name, BlobPaths.Model(name), "better", said), ContractsJson.Options);
            var files = new Dictionary<string, byte[]> { ["config.json"] = config, [RewardRecords.ReportFile] = outcome };
            return host.GetRequiredService<ArtifactStore>().MakeOnceAsync(BlobPaths.Model(name), _ => Task.FromResult(new NewArtifact<string>(files, name)), CancellationToken.None);
        }
    }

    [Fact]
    public async Task What_is_right_is_accepted()
    {
        await using var host = Host();
        var request = Request with { Lora = new LoraSettings { TargetModules = ["all-linear"] }, Generation = new GenerationSettings { MaxNewTokens = 319, EndOfTextIds = [] } };
        Assert.Empty(await host.GetRequiredService<RequestChecks>().CheckAsync(request, CancellationToken.None));
    }

    [Fact]
    public async Task A_run_needs_no_judge_and_a_reward_need_not_know_the_judged_label()
    {
        await using var host = Host();
        var checks = host.GetRequiredService<RequestChecks>();
        Assert.Empty(await checks.CheckAsync(Request with { Evaluation = new EvaluationSettings() }, CancellationToken.None));
        Assert.Empty(await checks.CheckAsync(Request with { Evaluation = new EvaluationSettings { Label = "joy" } }, CancellationToken.None));
    }

    [Fact]
    public async Task What_gives_scores_has_no_probability_to_judge_by_or_to_reward()
    {
        await using var server = await HubServer.StartAsync();
        var config = JsonNode.Parse(await JudgeConfigAsync())!;
        config["problem_type"] = "regression";
        server.Add("tiny/scorer", new Dictionary<string, byte[]> { ["config.json"] = Encoding.UTF8.GetBytes(config.ToJsonString()), ["model.safetensors"] = [1] });
        await using var host = Host(server.Address.ToString());
        var term = new ClassifierTerm { Source = "hf:tiny/scorer", Value = ClassifierValue.Probability };
        var errors = await host.GetRequiredService<RequestChecks>().CheckAsync(
            WithTerm(term) with { Evaluation = Request.Evaluation with { Judge = "hf:tiny/scorer" } }, CancellationToken.None);
        Assert.Equal(["evaluation.judge", "reward.terms[0].value"], errors.Keys.Order());
        Assert.Contains("no probability", errors["evaluation.judge"].Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Models_in_storage_and_on_the_hub_are_looked_at_as_well()
    {
        await using var server = await HubServer.StartAsync();
        server.Add("tiny/judge", new Dictionary<string, byte[]> { ["config.json"] = await JudgeConfigAsync(), ["model.safetensors"] = [1] });
        await using var host = Host(server.Address.ToString());
        string stored = $"models/judge-{Guid.NewGuid():n}";
        await host.GetRequiredService<ArtifactStore>().MakeOnceAsync(
            stored, async _ => new NewArtifact<string>(new Dictionary<string, byte[]> { ["config.json"] = await JudgeConfigAsync() }, stored), CancellationToken.None);

        foreach (string source in new[] { "hf:tiny/judge", $"blob:{stored}" })
        {
            var request = Request with { Evaluation = Request.Evaluation with { Judge = source, Label = "rude" } };
            var errors = await host.GetRequiredService<RequestChecks>().CheckAsync(request, CancellationToken.None);
            Assert.Contains("no label \"rude\"", errors["evaluation.label"].Single(), StringComparison.Ordinal);
        }

        server.Script("/main", HubServer.Status(503));
        var unknown = Request with { Evaluation = Request.Evaluation with { Judge = "hf:tiny/judge", Label = "rude" } };
        Assert.Empty(await host.GetRequiredService<RequestChecks>().CheckAsync(unknown, CancellationToken.None));
    }

    [Fact]
    public async Task To_check_a_request_makes_no_container()
    {
        await using var host = Host();
        string container = AzuriteFixture.NewContainerName();
        foreach (string source in new[] { $"blob:{container}/x.csv", "blob:dialogues/x.csv" })
            await host.GetRequiredService<RequestChecks>().CheckAsync(Request with { Data = Request.Data with { Train = source, Test = source } }, CancellationToken.None);
        await host.GetRequiredService<RequestChecks>().CheckAsync(Request with { Model = new ModelSettings { Source = $"blob:{container}/x" } }, CancellationToken.None);
        Assert.DoesNotContain(container, azurite.Blobs.GetBlobContainers().Select(made => made.Name));
    }

    [Fact]
    public async Task Where_other_machines_compute_the_setting_says_on_what()
    {
        await using var host = Host(devices: "cpu,cuda");
        Assert.Empty(await host.GetRequiredService<RequestChecks>().CheckAsync(Request with { Compute = new ComputeSettings { Device = "cuda" } }, CancellationToken.None));
    }

    private static RunRequest WithVotesOf(string campaign)
    {
        var dpo = TinyRun.By(AlgorithmName.Dpo, "checked");
        return dpo with { Data = dpo.Data with { Preferences = $"campaign:{campaign}" } };
    }

    private static RunRequest WithTerm(RewardTerm term)
    {
        return Request with { Reward = new RewardSettings { Terms = [term] } };
    }

    private static Task<byte[]> JudgeConfigAsync()
    {
        return File.ReadAllBytesAsync(Path.Combine(Repository.Root, "samples", "models", "judge", "config.json"));
    }

    private ServiceProvider Host(string? hub = null, string? devices = null)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AzureWebJobsStorage"] = azurite.ConnectionString,
            ["RlhfFileRoot"] = Repository.Root,
            ["RlhfComputeDevices"] = devices,
            ["HF_ENDPOINT"] = hub,
        }).Build();
        return new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
    }
}
