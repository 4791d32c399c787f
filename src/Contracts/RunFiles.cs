namespace RlhfFunctions.Contracts;

/// <summary>The files a finished run publishes, by their names under runs/{runId}/ and in the demo's output folder.</summary>
public static class RunFiles
{
    public const string AdapterFolder = "adapter";
    public const string AdapterConfig = $"{AdapterFolder}/adapter_config.json";
    public const string AdapterWeights = $"{AdapterFolder}/adapter_model.safetensors";
    public const string Metrics = "metrics.jsonl";
    public const string Evaluation = "evaluation.json";
    public const string Samples = "samples.jsonl";
    public const string Report = "report.html";

    /// <summary>The metrics as TensorBoard reads them; it knows such a file by the middle of its name.</summary>
    public const string Events = "events.out.tfevents.rlhf";
}
