using System.Text.Json;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>How the functions are hosted in this process; the counterpart of host.json.</summary>
public sealed record LocalFunctionsOptions
{
    /// <summary>Serializes what goes into and comes out of orchestrations; must be the app's own options.</summary>
    public required JsonSerializerOptions Json { get; init; }

    /// <summary>The blob container with everything the host must remember.</summary>
    public string TaskHub { get; init; } = "taskhub";

    /// <summary>What the routes of HTTP functions start with.</summary>
    public string RoutePrefix { get; init; } = "api";

    /// <summary>How many activities run at once, over all orchestrations.</summary>
    public int MaxConcurrentActivities { get; init; } = Environment.ProcessorCount;

    /// <summary>How often the containers of blob triggers are looked through.</summary>
    public TimeSpan BlobPollInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a stopping host waits for activities that have been asked to stop.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(15);
}
