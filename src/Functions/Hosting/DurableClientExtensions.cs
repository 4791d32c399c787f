using System.Text.RegularExpressions;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;

namespace RlhfFunctions.Hosting;

internal static partial class DurableClientExtensions
{
    /// <summary>Starts an orchestration under a derived id unless it was started before: a redelivered trigger changes nothing.</summary>
    public static async Task StartOnceAsync(
        this DurableTaskClient client, string orchestrator, string instanceId, object input, CancellationToken cancellation)
    {
        if (await client.GetInstanceAsync(instanceId, cancellation: cancellation) is not null) return;
        try
        {
            await client.ScheduleNewOrchestrationInstanceAsync(orchestrator, input, new StartOrchestrationOptions(instanceId), cancellation);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Of several that start it at once the engine takes one; the others found it missing a moment ago, and find it now.
            if (await client.GetInstanceAsync(instanceId, cancellation: cancellation) is null) throw;
        }
    }

    /// <summary>
    /// Why an instance failed or was terminated, or null. On Azure Storage there are no failure details: the reason is its output,
    /// as text that is no JSON, with the exception's type and the engine's own words before it.
    /// </summary>
    public static string? ReadFailure(this OrchestrationMetadata instance)
    {
        if (instance.RuntimeStatus is not (OrchestrationRuntimeStatus.Failed or OrchestrationRuntimeStatus.Terminated)) return null;
        string? reason = instance.FailureDetails?.ErrorMessage ?? instance.SerializedOutput?.Trim('"');
        return reason is null ? null : WithoutFolders(EngineWords().Replace(reason, "$1: "));
    }

    /// <summary>A message in which files of the machine that wrote it go by their names alone: where they lie is nobody's business.</summary>
    internal static string WithoutFolders(string message)
    {
        return Folders().Replace(message, "");
    }

    [GeneratedRegex(@"^[\w.]*TaskFailedException: Task '(\w+)' \(#\d+\) failed with an unhandled exception: ")]
    private static partial Regex EngineWords();

    /// <summary>The folders before a file's name, of an absolute path; not an address of ours, nor what stands behind a scheme or within a path of the storage.</summary>
    [GeneratedRegex(@"(?<![\w:/\\.%])(?:/(?!api/)|[A-Za-z]:\\)(?:[^\s""'/\\:]+[/\\])+(?=[^\s""'/\\:])")]
    private static partial Regex Folders();
}
