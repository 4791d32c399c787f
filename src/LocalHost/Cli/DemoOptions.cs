using RlhfFunctions.Contracts;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What all commands need to host the functions.</summary>
/// <param name="Port">Where HTTP is served.</param>
/// <param name="AzuritePort">The first of Azurite's three ports: blobs, queues, tables.</param>
/// <param name="DataFolder">Where Azurite and downloads keep their files.</param>
/// <param name="AppFolder">The built function app.</param>
/// <param name="IsVerbose">Log what is ordinary too.</param>
internal sealed record HostOptions(int Port, int AzuritePort, string DataFolder, string AppFolder, bool IsVerbose = false)
{
    /// <summary>Where models taken from Blob storage are kept.</summary>
    public string ModelsFolder => Path.Combine(DataFolder, "models");

    public static HostOptions Default { get; } = new(7071, 10000, Path.Combine(Repository.Root, ".rlhf"), Worker.AppFolder.Default);

    /// <summary>The command that hosts the functions on the same storage.</summary>
    public string StartCommand =>
        "dotnet run -c Release --project src/LocalHost -- start"
        + (Port == Default.Port ? "" : $" --port {Port}")
        + (AzuritePort == Default.AzuritePort ? "" : $" --azurite-port {AzuritePort}")
        + (DataFolder == Default.DataFolder ? "" : $" --data \"{DataFolder}\"");
}

/// <summary>What the demo command was asked for.</summary>
/// <param name="Host">How to host the functions.</param>
/// <param name="RequestFile">The run request.</param>
/// <param name="OutputFolder">Where to write the artefacts as plain files; null: a folder named after the run, in the data folder.</param>
/// <param name="Seed">Overrides the request's seed.</param>
/// <param name="Seeds">A run for each of these instead of a single one; null: a single one.</param>
/// <param name="Steps">Overrides the request's steps.</param>
/// <param name="Algorithms">The seeds by each of these, with the sample request of each; null: by the request's own.</param>
internal sealed record DemoOptions(
    HostOptions Host, string RequestFile, string? OutputFolder, long? Seed, IReadOnlyList<long>? Seeds, int? Steps, IReadOnlyList<AlgorithmName>? Algorithms = null);
