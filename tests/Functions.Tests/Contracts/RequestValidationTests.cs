using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;

namespace RlhfFunctions.Functions.Tests.Contracts;

public sealed class RequestValidationTests
{
    private static readonly RunRequest Good = TinyRun.Request("good");

    private static readonly ClassifierTerm Classifier = new() { Source = "file:samples/models/reward" };

    private static readonly RunRequest Composed = Rewarded(
        Classifier with { Value = ClassifierValue.Difference, Text = ClassifierText.QueryAndResponse },
        Classifier with { Name = "probability", Value = ClassifierValue.Probability, Weight = 0 },
        new WordsTerm { Words = ["shut up"], Weight = -2 },
        new LengthTerm { MaxWords = 30 },
        new RepetitionTerm { NGram = 2 });

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
        { "ppo.missingEosPenalty", Good with { Ppo = Good.Ppo with { MissingEosPenalty = -1 } } },
        { "reward.terms", Rewarded() },
        { "reward.terms[0].source", Rewarded(Classifier with { Source = "samples/models/reward" }) },
        { "reward.terms[0].label", Rewarded(Classifier with { Label = "" }) },
        { "reward.terms[0].name", Rewarded(Classifier with { Name = "not in lower case" }) },
        { "reward.terms[1].weight", Rewarded(Classifier, new RepetitionTerm { Weight = 1e7 }) },
        { "reward.terms[1].nGram", Rewarded(Classifier, new RepetitionTerm { NGram = 0 }) },
        { "reward.terms[1].name", Rewarded(Classifier, Classifier with { Value = ClassifierValue.Difference }) },
        { "reward.terms[0].words", Rewarded(new WordsTerm { Words = [] }) },
        { "reward.terms[0].words[1]", Rewarded(new WordsTerm { Words = ["idiot", null!] }) },
        { "reward.terms[1].words", Rewarded(Classifier, new WordsTerm { Words = ["idiot", "?!"] }) },
        { "reward.terms[0].minWords", Rewarded(new LengthTerm { MinWords = -1, MaxWords = 5 }) },
        { "reward.terms[0].maxWords", Rewarded(new LengthTerm { MinWords = 6, MaxWords = 5 }) },
        { "reward.terms[1]", Rewarded(Classifier, null!) },
        { "generation.temperature", Good with { Generation = new GenerationSettings { Temperature = 0 } } },
        { "evaluation.minHateToUnlearn", Good with { Evaluation = Good.Evaluation with { MinHateToUnlearn = 1.5 } } },
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
        Assert.Empty(RequestValidation.Check(Composed));
        foreach (var request in new[] { Good, Composed })
        {
            string json = JsonSerializer.Serialize(request, ContractsJson.Options);
            Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize<RunRequest>(json, ContractsJson.Strict), ContractsJson.Options));
        }
    }

    [Fact]
    public void A_reward_is_read_as_a_user_would_write_it()
    {
        var reward = JsonSerializer.Deserialize<RewardSettings>(
            """
            { "terms": [
              { "source": "file:a", "kind": "classifier", "value": "difference", "text": "queryAndResponse" },
              { "kind": "words", "words": ["idiot"] },
              { "kind": "length", "maxWords": 30, "weight": -0.5, "name": "brevity" },
              { "kind": "repetition" } ] }
            """,
            ContractsJson.Strict)!;
        Assert.Equal(
            new ClassifierTerm { Source = "file:a", Value = ClassifierValue.Difference, Text = ClassifierText.QueryAndResponse }, reward.Terms[0]);
        Assert.Equal(["classifier", "words", "brevity", "repetition"], reward.Terms.Select(term => term.Name));
        Assert.Equal([1, -1, -0.5, -1], reward.Terms.Select(term => term.Weight));
        Assert.Equal(["file:a"], reward.Classifiers.Select(term => term.Source));
    }

    private static RunRequest Rewarded(params RewardTerm[] terms)
    {
        return Good with { Reward = new RewardSettings { Terms = terms } };
    }

    [Fact]
    public void The_demo_that_ships_is_a_good_request()
    {
        string json = File.ReadAllText(Path.Combine(Repository.Root, "samples", "demo.json"));
        Assert.Empty(RequestValidation.Check(JsonSerializer.Deserialize<RunRequest>(json, ContractsJson.Strict)!));
    }
}
