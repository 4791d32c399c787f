using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A run of seconds on the sample models.</summary>
internal static class TinyRun
{
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

    /// <summary>The same by some algorithm.</summary>
    public static RunRequest By(AlgorithmName algorithm, string runId, int steps = 3)
    {
        var request = Request(runId, steps);
        return algorithm switch
        {
            AlgorithmName.Grpo => request with
            {
                Training = new GrpoSettings { Steps = steps, BatchSize = 8, MiniBatchSize = 4, GroupSize = 4, LearningRate = 2e-3, DropEqualGroups = true },
            },
            AlgorithmName.Rloo => request with { Training = new RlooSettings { Steps = steps, BatchSize = 8, MiniBatchSize = 4, LearningRate = 2e-3 } },
            AlgorithmName.Dpo => request with
            {
                Training = new DpoSettings { Steps = steps, BatchSize = 4, MiniBatchSize = 2, LearningRate = 2e-3 },
                Reward = null,
                Data = request.Data with { Train = null, Preferences = "file:samples/dialogues/preferences.jsonl" },
            },
            _ => request,
        };
    }
}
