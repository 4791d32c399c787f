using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>Writes summaries/{name}.json for an uploaded blob of dialogues, with the adapter that serves.</summary>
public static class SummarizeDialogues
{
    /// <returns>The path of what was written, or null where a newer version of the blob is there.</returns>
    [Function(FunctionNames.SummarizeDialogues)]
    public static Task<string?> Run([OrchestrationTrigger] TaskOrchestrationContext context, SummarizeDialoguesInput input)
    {
        return context.CallActivityAsync<string?>(FunctionNames.WriteSummaries, input, ActivityRetries.Default);
    }
}
