using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>What the Functions host tells by OpenTelemetry: a span for each HTTP request, and the engine's for orchestrations and their activities.</summary>
internal static class HostTelemetry
{
    // The Durable extension starts orchestrations, the engine runs them; the names are theirs.
    private static readonly string[] Sources = ["WebJobs.Extensions.DurableTask", "DurableTask.Core"];

    /// <summary>Only with <c>"telemetryMode": "OpenTelemetry"</c> in host.json and a collector in <c>OTEL_EXPORTER_OTLP_ENDPOINT</c>.</summary>
    public static void AddHostTelemetry(this IServiceCollection services, IConfiguration configuration)
    {
        bool isAskedFor = string.Equals(configuration.HostJson("telemetryMode"), "OpenTelemetry", StringComparison.OrdinalIgnoreCase);
        if (!isAskedFor || configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is not { Length: > 0 }) return;
        services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("rlhf-host"))
            .WithTracing(spans => spans.AddSource(Sources).AddAspNetCoreInstrumentation())
            .UseOtlpExporter();
    }
}
