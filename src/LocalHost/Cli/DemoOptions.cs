namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What all commands need to host the functions.</summary>
/// <param name="Port">Where HTTP is served.</param>
/// <param name="AzuritePort">Where Azurite serves blobs.</param>
/// <param name="DataFolder">Where Azurite and downloads keep their files.</param>
internal sealed record HostOptions(int Port, int AzuritePort, string DataFolder)
{
    /// <summary>Where models taken from Blob storage are kept.</summary>
    public string ModelsFolder => Path.Combine(DataFolder, "models");
}

/// <summary>What the demo command was asked for.</summary>
/// <param name="Host">How to host the functions.</param>
/// <param name="OutputFolder">Where to write the artefacts as plain files; null: nowhere.</param>
/// <param name="Seed">Overrides the request's seed.</param>
/// <param name="Steps">Overrides the request's PPO steps.</param>
internal sealed record DemoOptions(HostOptions Host, string? OutputFolder, long? Seed, int? Steps);
