using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;

namespace RlhfFunctions.Functions.Tests.Contracts;

public sealed class RequestValidationTests
{
    private static readonly RunRequest Good = TinyRun.Request("good");

    public static TheoryData<string, RunRequest> Bad => new()
    {
        { "runId", Good with { RunId = "Not Lower Case" } },
        { "seed", Good with { Seed = -1 } },
        { "model.source", Good with { Model = new ModelSettings { Source = "samples/models/llama" } } },
        { "lora.rank", Good with { Lora = new LoraSettings { Rank = 0 } } },
        { "lora.targetModules", Good with { Lora = new LoraSettings { TargetModules = [] } } },
        { "ppo.steps", Good with { Ppo = Good.Ppo with { Steps = 0 } } },
        { "ppo.batchSize", Good with { Ppo = Good.Ppo with { BatchSize = 9 } } }, // mini-batches of 4
        { "ppo.normalizeScores", Good with { Ppo = Good.Ppo with { NormalizeScores = true } } },
        { "generation.temperature", Good with { Generation = new GenerationSettings { Temperature = 0 } } },
        { "generation.topK", With(new() { TopK = 50 }) },
        { "generation.topP", With(new() { TopP = 0.9 }) },
        { "generation.repetitionPenalty", With(new() { RepetitionPenalty = 1.1 }) },
        { "generation.minNewTokens", With(new() { MinNewTokens = 5 }) },
        { "generation.minNewTokens", With(new() { MinNewTokens = 50, AcceptBiasedSampling = true }) }, // at most 40 tokens
        { "generation.maxNewTokensLow", With(new() { MaxNewTokensLow = 41 }) },
        { "generation.endOfTextIds", With(new() { EndOfTextIds = [2, -1] }) },
        { "ppo.valueWarmupSteps", Good with { Ppo = Good.Ppo with { ValueWarmupSteps = Good.Ppo.Steps } } },
        { "ppo.alarms.maxKl", Good with { Ppo = Good.Ppo with { Alarms = new AlarmSettings { MaxKl = -1 } } } },
        { "ppo.alarms.maxLengthDrift", Good with { Ppo = Good.Ppo with { Alarms = new AlarmSettings { MaxLengthDrift = 0.5 } } } },
        { "data.columns.dialogue", Good with { Data = Good.Data with { Columns = new DialogueColumns { Dialogue = "" } } } },
        { "data.promptTemplate", Good with { Data = Good.Data with { PromptTemplate = "no place for it" } } },
        { "data.maxCharacters", Good with { Data = Good.Data with { MaxCharacters = 100 } } },
        { "compute.device", Good with { Compute = new ComputeSettings { Device = "tpu" } } },
        { "compute.rolloutShards", Good with { Compute = new ComputeSettings { RolloutShards = 9 } } },
    };

    [Fact]
    public void A_good_request_passes()
    {
        Assert.Empty(RequestValidation.Check(Good));
    }

    [Theory]
    [MemberData(nameof(Bad))]
    public void What_is_wrong_is_named_by_its_path(string path, RunRequest request)
    {
        Assert.Equal([path], RequestValidation.Check(request).Keys);
    }

    [Fact]
    public void Sampling_that_is_not_scored_passes_when_the_request_accepts_it()
    {
        Assert.Empty(RequestValidation.Check(With(
            new() { TopK = 50, TopP = 0.9, RepetitionPenalty = 1.1, MinNewTokens = 5, MaxNewTokensLow = 5, AcceptBiasedSampling = true })));
    }

    [Fact]
    public void A_request_survives_json_as_it_is()
    {
        var request = Good with { Ppo = Good.Ppo with { Alarms = new AlarmSettings { MaxKl = null, MaxRatio = 2, MaxLengthDrift = null } } };
        string json = JsonSerializer.Serialize(request, ContractsJson.Options);
        var read = JsonSerializer.Deserialize<RunRequest>(json, ContractsJson.Strict)!;
        Assert.Equal(json, JsonSerializer.Serialize(read, ContractsJson.Options));
        Assert.Equal(request.Ppo.Alarms, read.Ppo.Alarms); // off is not the default, so it must come back
    }

    [Theory]
    [InlineData("demo.json")]
    [InlineData("tinyllama-detox.json")]
    [InlineData("tinyllama-detox-better.json")]
    public void A_request_that_ships_is_a_good_one(string file)
    {
        Assert.Empty(RequestValidation.Check(Read(file)));
    }

    [Fact]
    public void The_notebooks_request_has_its_settings()
    {
        var request = Read("tinyllama-detox.json");
        Assert.Equal(ModelPrecision.Nf4, request.Model.Precision);
        Assert.Equal((1000, 100, 200, 1024), (request.Data.TrainRows, request.Data.TestRows, request.Data.MinCharacters, request.Data.MaxCharacters));
        Assert.Equal(new DataSettings { Train = "", Test = "" }.PromptTemplate, request.Data.PromptTemplate);
        Assert.Equal((16, 16.0, 0.05), (request.Lora.Rank, request.Lora.Alpha, request.Lora.Dropout));
        Assert.Equal(["q_proj", "v_proj"], request.Lora.TargetModules);
        Assert.Equal((15, 2, 2, 1, 1.41e-5), (request.Ppo.Steps, request.Ppo.BatchSize, request.Ppo.MiniBatchSize, request.Ppo.Epochs, request.Ppo.LearningRate));
        Assert.Equal((0.2, 6.0, 10_000.0, 0.2, 0.2, 0.1), (
            request.Ppo.KlCoefficient, request.Ppo.TargetKl, request.Ppo.KlHorizon, request.Ppo.ClipRange, request.Ppo.ValueClipRange, request.Ppo.ValueCoefficient));
        Assert.Equal((100, 299), (request.Generation.MaxNewTokensLow!.Value, request.Generation.MaxNewTokens));
        Assert.Empty(request.Generation.EndOfTextIds!); // nothing ended its rollouts
    }

    private static RunRequest With(GenerationSettings generation)
    {
        return Good with { Generation = generation };
    }

    private static RunRequest Read(string file)
    {
        return JsonSerializer.Deserialize<RunRequest>(File.ReadAllText(Path.Combine(Repository.Root, "samples", file)), ContractsJson.Strict)!;
    }
}
