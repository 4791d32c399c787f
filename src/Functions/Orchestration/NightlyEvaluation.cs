using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>Once a night: measures the adapter that serves on its run's held-out dialogues, and sweeps the storage.</summary>
public static class NightlyEvaluation
{
    /// <returns>The measurement, or null when no adapter has been published yet.</returns>
    [Function(FunctionNames.NightlyEvaluation)]
    public static async Task<NightlyResult?> Run([OrchestrationTrigger] TaskOrchestrationContext context, NightlyEvaluationInput input)
    {
        try
        {
            return await context.CallActivityAsync<NightlyResult?>(FunctionNames.EvaluateLatest, input, ActivityRetries.Default);
        }
        finally
        {
            await context.CallActivityAsync<int>(FunctionNames.SweepStorage, input, ActivityRetries.Default);
        }
    }
}
