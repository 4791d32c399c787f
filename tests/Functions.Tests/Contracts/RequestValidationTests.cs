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
        { "ppo.steps", Good with { Ppo = Good.Ppo! with { Steps = 0 } } },
        { "ppo.batchSize", Good with { Ppo = Good.Ppo! with { BatchSize = 9 } } }, // mini-batches of 4
        { "ppo.normalizeScores", Good with { Ppo = Good.Ppo! with { NormalizeScores = true } } },
        { "ppo.missingEosPenalty", Good with { Ppo = Good.Ppo! with { MissingEosPenalty = -1 } } },
        { "grpo", Good with { Grpo = new() } }, // of a PPO run
        { "ppo", Good with { Algorithm = AlgorithmName.Rloo } },
        { "grpo.groupSize", By(new GrpoSettings { BatchSize = 32, GroupSize = 5 }) },
        { "grpo.overlongBuffer", By(new GrpoSettings { OverlongBuffer = 17 }) }, // at most 16 tokens
        { "rloo.batchSize", By(new RlooSettings { BatchSize = 12 }) },
        { "rloo.groupSize", By(new RlooSettings { GroupSize = 1 }) },
        { "reward", By(new GrpoSettings()) with { Reward = null } },
        { "data.train", By(new GrpoSettings()) with { Data = Good.Data with { Train = null } } },
        { "data.preferences", By(new GrpoSettings()) with { Data = Good.Data with { Preferences = "file:a.jsonl" } } },
        { "data.preferences", Preferring(new()) with { Data = Preferring(new()).Data with { Preferences = null } } },
        { "data.train", Preferring(new()) with { Data = Preferring(new()).Data with { Train = "file:a.csv" } } },
        { "reward", Preferring(new()) with { Reward = Good.Reward } },
        { "dpo.beta", Preferring(new() { Beta = 0 }) },
        { "dpo.labelSmoothing", Preferring(new() { LabelSmoothing = 0.1, Loss = PreferenceLoss.Hinge }) },
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
        { "evaluation.minToUnlearn", Good with { Evaluation = Good.Evaluation with { MinToUnlearn = 1.5 } } },
        { "watch.everySteps", Good with { Watch = new WatchSettings { EverySteps = 0 } } },
        { "watch.minJudgedGain", Good with { Watch = new WatchSettings { MinJudgedGain = 2 } } },
        { "generation.topK", With(new() { TopK = 50 }) },
        { "generation.topP", With(new() { TopP = 0.9 }) },
        { "generation.repetitionPenalty", With(new() { RepetitionPenalty = 1.1 }) },
        { "generation.minNewTokens", With(new() { MinNewTokens = 5 }) },
        { "generation.minNewTokens", With(new() { MinNewTokens = 50, AcceptBiasedSampling = true }) }, // at most 40 tokens
        { "generation.maxNewTokensLow", With(new() { MaxNewTokensLow = 41 }) },
        { "generation.endOfTextIds", With(new() { EndOfTextIds = [2, -1] }) },
        { "ppo.valueWarmupSteps", Good with { Ppo = Good.Ppo! with { ValueWarmupSteps = Good.Ppo!.Steps } } },
        { "ppo.alarms.maxKl", Good with { Ppo = Good.Ppo! with { Alarms = new AlarmSettings { MaxKl = -1 } } } },
        { "ppo.alarms.maxLengthDrift", Good with { Ppo = Good.Ppo! with { Alarms = new AlarmSettings { MaxLengthDrift = 0.5 } } } },
        { "data.columns.dialogue", Good with { Data = Good.Data with { Columns = new DialogueColumns { Dialogue = "" } } } },
        { "data.systemPrompt", Good with { Data = Good.Data with { SystemPrompt = "Be kind." } } },
        { "data.promptTemplate", Good with { Data = Good.Data with { PromptTemplate = "no place for it" } } },
        { "data.maxCharacters", Good with { Data = Good.Data with { MaxCharacters = 100 } } },
        { "limits.maxHours", Good with { Limits = new RunLimits { MaxHours = 0 } } },
        { "limits.maxCost", Good with { Limits = new RunLimits { MaxCost = -1 } } },
        { "compute.device", Good with { Compute = new ComputeSettings { Device = "tpu" } } },
        { "compute.updateShards", Good with { Compute = new ComputeSettings { UpdateShards = (Good.Ppo!.MiniBatchSize * Good.Ppo.GradientAccumulationSteps) + 1 } } },
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
    public void Composed_rewards_pass_and_survive_json()
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
    public void A_request_survives_json_as_it_is()
    {
        var request = Good with { Ppo = Good.Ppo! with { Alarms = new AlarmSettings { MaxKl = null, MaxRatio = 2, MaxLengthDrift = null } } };
        string json = JsonSerializer.Serialize(request, ContractsJson.Options);
        var read = JsonSerializer.Deserialize<RunRequest>(json, ContractsJson.Strict)!;
        Assert.Equal(json, JsonSerializer.Serialize(read, ContractsJson.Options));
        Assert.Equal(request.Ppo!.Alarms, read.Ppo!.Alarms); // off is not the default, so it must come back
    }

    [Theory]
    [InlineData("demo.json")]
    [InlineData("demo-grpo.json")]
    [InlineData("demo-rloo.json")]
    [InlineData("demo-dpo.json")]
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
        Assert.Equal((15, 2, 2, 1, 1.41e-5), (request.Ppo!.Steps, request.Ppo!.BatchSize, request.Ppo!.MiniBatchSize, request.Ppo!.Epochs, request.Ppo!.LearningRate));
        Assert.Equal((0.2, 6.0, 10_000.0, 0.2, 0.2, 0.1), (
            request.Ppo!.KlCoefficient, request.Ppo!.TargetKl, request.Ppo!.KlHorizon, request.Ppo!.ClipRange, request.Ppo!.ValueClipRange, request.Ppo!.ValueCoefficient));
        Assert.Equal((100, 299), (request.Generation.MaxNewTokensLow!.Value, request.Generation.MaxNewTokens));
        Assert.Empty(request.Generation.EndOfTextIds!); // nothing ended its rollouts
    }

    [Theory]
    [InlineData("ppo")]
    [InlineData("grpo")]
    [InlineData("rloo")]
    [InlineData("dpo")]
    public void The_name_of_an_algorithm_is_a_whole_setting(string name)
    {
        var json = JsonSerializer.SerializeToNode(Good with { Ppo = null }, ContractsJson.Options)!.AsObject();
        json["algorithm"] = name;
        if (name == "dpo")
        {
            json.Remove("reward");
            json["data"]!.AsObject().Remove("train");
            json["data"]!["preferences"] = "file:preferences.jsonl";
        }

        var request = json.Deserialize<RunRequest>(ContractsJson.Strict)!;
        Assert.Empty(RequestValidation.Check(request));
        Assert.Equal(name, request.Training.Section);
        var whole = request with { Training = request.Training };
        Assert.Equal([name], JsonSerializer.SerializeToNode(whole, ContractsJson.Options)!.AsObject().Select(field => field.Key).Where(field => field is "ppo" or "grpo" or "rloo" or "dpo"));
        Assert.Equal(whole.Training, JsonSerializer.Deserialize<RunRequest>(JsonSerializer.Serialize(whole, ContractsJson.Options), ContractsJson.Strict)!.Training);
        Assert.Empty(RequestValidation.Check(whole with { Training = whole.Training with { MaxGradientNorm = null } }));
    }

    [Fact]
    public void A_null_that_is_no_default_comes_back()
    {
        var request = By(new GrpoSettings { MaxGradientNorm = null });
        Assert.Null(JsonSerializer.Deserialize<RunRequest>(JsonSerializer.Serialize(request, ContractsJson.Options), ContractsJson.Strict)!.Training.MaxGradientNorm);
    }

    private static RunRequest By(TrainingSettings training)
    {
        return Good with { Training = training };
    }

    private static RunRequest Preferring(DpoSettings settings)
    {
        return By(settings) with { Reward = null, Data = Good.Data with { Train = null, Preferences = "file:preferences.jsonl" } };
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
