using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>Generates a campaign's pairs, a part at a time: what is finished can be judged as soon as all of it is there.</summary>
public static class Campaign
{
    /// <returns>The number of pairs.</returns>
    [Function(FunctionNames.Campaign)]
    public static async Task<int> Run([OrchestrationTrigger] TaskOrchestrationContext context, CampaignState state)
    {
        string model = await Prepare(context, state.Base);
        string? reward = state.UncertainBy is { } source ? await Prepare(context, source) : null;
        int done = 0;
        for (int shard = 0; done < state.Pairs; shard++)
        {
            var input = new GeneratePairsInput(state.CampaignId, model, shard, reward);
            done += await context.CallActivityAsync<int>(FunctionNames.GeneratePairs, input, ActivityRetries.Default);
        }

        return done;
    }

    private static Task<string> Prepare(TaskOrchestrationContext context, string source)
    {
        return context.CallActivityAsync<string>(FunctionNames.PrepareModel, new PrepareModelInput(source), ActivityRetries.Default);
    }
}
