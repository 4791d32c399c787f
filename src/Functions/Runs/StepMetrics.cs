using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>Reads the metrics of a run's steps from the checkpoints they led to.</summary>
public sealed class StepMetrics(ArtifactStore artifacts)
{
    /// <summary>The step's metrics, a file of the checkpoint it led to.</summary>
    public const string FileName = "metrics.json";

    /// <summary>One object a step: its number and the metrics by name.</summary>
    /// <param name="runId">The run.</param>
    /// <param name="steps">How many steps are done.</param>
    /// <param name="cancellation">Stops between steps.</param>
    public async Task<IReadOnlyList<JsonObject>> ReadAsync(string runId, int steps, CancellationToken cancellation)
    {
        var lines = new List<JsonObject>();
        for (int step = 0; step < steps; step++)
        {
            var manifest = await artifacts.GetAsync<object>(BlobPaths.Checkpoint(runId, step + 1), cancellation);
            byte[] metrics = await artifacts.ReadAsync(manifest.Files.Single(file => file.Name == FileName), cancellation);
            var line = new JsonObject { ["step"] = step };
            foreach (var (name, value) in JsonNode.Parse(metrics)!.AsObject()) line[name] = value!.DeepClone();
            lines.Add(line);
        }

        return lines;
    }
}
