using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A run of seconds on the sample models.</summary>
internal static class TinyRun
{
    /// <summary>The same by another algorithm; DPO's preferences are written into a folder.</summary>
    public static RunRequest Request(string runId, AlgorithmName algorithm, string folder, int steps = 3)
    {
        var request = Request(runId, steps);
        TrainingSettings training = algorithm switch
        {
            AlgorithmName.Ppo => request.Ppo!,
            AlgorithmName.Grpo => new GrpoSettings { Steps = steps, BatchSize = 8, MiniBatchSize = 4, GroupSize = 4, LearningRate = 2e-3 },
            AlgorithmName.Rloo => new RlooSettings { Steps = steps, BatchSize = 8, MiniBatchSize = 4, LearningRate = 2e-3 },
            _ => new DpoSettings { Steps = steps, BatchSize = 4, MiniBatchSize = 2, LearningRate = 2e-3 },
        };
        if (training is not DpoSettings) return request with { Training = training };
        string file = Path.Combine(folder, "preferences.jsonl");
        File.WriteAllLines(file, Enumerable.Range(0, 9).Select(i =>
            $"{{\"prompt\": \"Say {i}.\", \"chosen\": \"It is {i}, and gladly.\", \"rejected\": \"You idiot, {i}!\"}}"));
        return request with { Training = training, Reward = null, Data = request.Data with { Train = null, Preferences = $"file:{file}" } };
    }

    public static RunRequest Request(string runId, int steps = 3, long seed = 5)
    {
        return new RunRequest
        {
            RunId = runId,
            Seed = seed,
            Model = new ModelSettings { Source = "file:samples/models/llama" },
            Reward = new RewardSettings { Terms = [new ClassifierTerm { Source = "file:samples/models/reward" }] },
            Data = new DataSettings
            {
                Train = "file:samples/dialogues/train.csv",
                Test = "file:samples/dialogues/test.csv",
                TrainRows = 40,
                TestRows = 6,
            },
            Ppo = new PpoSettings { Steps = steps, BatchSize = 8, MiniBatchSize = 4, Epochs = 2, LearningRate = 2e-3 },
            Generation = new GenerationSettings { MaxNewTokens = 16 },
            Evaluation = new EvaluationSettings { Judge = "file:samples/models/judge", SamplesPerDialogue = 1 },
        };
    }
}
