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
        { "model.source", Good with { Model = new ModelSettings { Source = "hf:llama" } } },
        { "data.train", Good with { Data = Good.Data with { Train = "hf:datasets/owner/name" } } },
        { "lora.rank", Good with { Lora = new LoraSettings { Rank = 0 } } },
        { "lora.targetModules", Good with { Lora = new LoraSettings { TargetModules = [] } } },
        { "ppo.steps", Good with { Ppo = Good.Ppo with { Steps = 0 } } },
        { "ppo.batchSize", Good with { Ppo = Good.Ppo with { BatchSize = 9 } } }, // mini-batches of 4
        { "ppo.normalizeScores", Good with { Ppo = Good.Ppo with { NormalizeScores = true } } },
        { "generation.temperature", Good with { Generation = new GenerationSettings { Temperature = 0 } } },
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
    public void A_request_survives_json_as_it_is()
    {
        string json = JsonSerializer.Serialize(Good, ContractsJson.Options);
        Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize<RunRequest>(json, ContractsJson.Strict), ContractsJson.Options));
    }

    [Fact]
    public void The_demo_that_ships_is_a_good_request()
    {
        string json = File.ReadAllText(Path.Combine(Repository.Root, "samples", "demo.json"));
        Assert.Empty(RequestValidation.Check(JsonSerializer.Deserialize<RunRequest>(json, ContractsJson.Strict)!));
    }
}
