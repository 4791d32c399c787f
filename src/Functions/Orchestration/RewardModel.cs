using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>
/// Trains a reward model from votes, or several of different seeds: each has one training for each part of the prompts, which is held
/// out, and one on all of them, whose model is kept. They are independent, so they run side by side; each goes from checkpoint to checkpoint.
/// </summary>
public static class RewardModel
{
    [Function(FunctionNames.RewardModel)]
    public static async Task<RewardOutcome> Run([OrchestrationTrigger] TaskOrchestrationContext context, RewardState state)
    {
        string model = await context.CallActivityAsync<string>(FunctionNames.PrepareModel, new PrepareModelInput(state.Base), ActivityRetries.Default);
        await context.CallActivityAsync<int>(FunctionNames.CollectPreferences, new CollectPreferencesInput(state.RewardId), ActivityRetries.Default);

        int trainings = state.Folds + 1;
        var done = new RewardProgress[state.Seeds * trainings];
        int[] chunks = await Task.WhenAll(Enumerable.Range(0, done.Length).Select(Train));
        int[][] byMember = [.. chunks.Chunk(trainings)];
        RewardOutcome? outcome = null;
        for (int member = state.Seeds - 1; member >= 0; member--) // the first one's report tells of all
        {
            outcome = await context.CallActivityAsync<RewardOutcome>(
                FunctionNames.PublishReward, new PublishRewardInput(state.RewardId, model, member, byMember), ActivityRetries.Default);
        }

        return outcome!;

        async Task<int> Train(int training)
        {
            var (member, part) = Math.DivRem(training, trainings);
            for (int chunk = 0; ; chunk++)
            {
                var input = new TrainRewardInput(state.RewardId, model, member, part < state.Folds ? part : null, chunk);
                var result = await context.CallActivityAsync<TrainRewardResult>(FunctionNames.TrainReward, input, ActivityRetries.Default);
                done[training] = new RewardProgress(result.Step, result.Steps);
                int most = done.Max(one => one?.Steps ?? 0); // of those that have not told yet, until they do
                context.SetCustomStatus(new RewardProgress(done.Sum(one => one?.Step ?? 0), done.Sum(one => one?.Steps ?? most)));
                if (result.Step == result.Steps) return chunk + 1;
            }
        }
    }
}
