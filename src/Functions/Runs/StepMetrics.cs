using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>The metrics of a run's steps. An update leaves a step's beside the checkpoint it leads to; they are kept when that one no longer is.</summary>
public sealed class StepMetrics(ArtifactStore artifacts)
{
    /// <summary>The step's metrics, a file of the checkpoint it led to, and the one file of what is kept.</summary>
    public const string FileName = "metrics.json";

    private const int ReadAtOnce = 16;

    /// <summary>Keeps the metrics of a step whose checkpoint is there.</summary>
    public Task KeepAsync(string runId, int step, CancellationToken cancellation)
    {
        string path = BlobPaths.Metrics(runId, step);
        return artifacts.MakeOnceAsync(
            path,
            async stop => new NewArtifact<string>(
                new Dictionary<string, byte[]> { [FileName] = await artifacts.ReadFileAsync(BlobPaths.Checkpoint(runId, step + 1), FileName, stop) }, path),
            cancellation);
    }

    /// <summary>One object a step: its number and the metrics by name.</summary>
    /// <param name="runId">The run.</param>
    /// <param name="steps">Which of the steps that are done.</param>
    /// <param name="cancellation">Stops between steps.</param>
    public async Task<IReadOnlyList<JsonObject>> ReadAsync(string runId, Range steps, CancellationToken cancellation)
    {
        var lines = new List<JsonObject>();
        foreach (int[] some in Enumerable.Range(steps.Start.Value, steps.End.Value - steps.Start.Value).Chunk(ReadAtOnce))
            lines.AddRange(await Task.WhenAll(some.Select(step => ReadLineAsync(runId, step, cancellation))));
        return lines;
    }

    private async Task<JsonObject> ReadLineAsync(string runId, int step, CancellationToken cancellation)
    {
        var line = new JsonObject { ["step"] = step };
        byte[] metrics = await artifacts.ReadFileAsync(BlobPaths.Metrics(runId, step), FileName, cancellation);
        foreach (var (name, value) in JsonNode.Parse(metrics)!.AsObject()) line[name] = value!.DeepClone();
        return line;
    }
}
