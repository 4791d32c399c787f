using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>Measures the adapter that serves, once a night, on its run's held-out dialogues.</summary>
public static class NightlyEvaluation
{
    /// <returns>The measurement, or null when no adapter has been published yet.</returns>
    [Function(FunctionNames.NightlyEvaluation)]
    public static Task<EvaluateResult?> Run([OrchestrationTrigger] TaskOrchestrationContext context, NightlyEvaluationInput input)
    {
        return context.CallActivityAsync<EvaluateResult?>(FunctionNames.EvaluateLatest, input, ActivityRetries.Default);
    }
}
