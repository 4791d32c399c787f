using Azure.Core;
using Azure.Identity;
using Azure.Monitor.OpenTelemetry.Exporter;
using Microsoft.Azure.Functions.Worker.Builder;
using Microsoft.Azure.Functions.Worker.OpenTelemetry;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Trace;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Telemetry;

/// <summary>What the worker tells of itself, by OpenTelemetry: spans, metrics, and logs with the id of the run they are about.</summary>
internal static class TelemetryServices
{
    /// <summary>.NET's own spans of what is asked of storage and of the engine: they tie the engine's spans to those of the function that asked.</summary>
    private static readonly string[] Clients = ["System.Net.Http", "Grpc.Net.Client"];

    /// <summary>
    /// Settings: <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> and the others of OpenTelemetry's standard, for any collector;
    /// <c>APPLICATIONINSIGHTS_CONNECTION_STRING</c> for Azure Monitor, and with <c>APPLICATIONINSIGHTS_AUTHENTICATION_STRING</c>
    /// (<c>Authorization=AAD;ClientId=…</c>) by that identity. Where neither is set nothing is recorded.
    /// </summary>
    public static FunctionsApplicationBuilder AddTelemetry(this FunctionsApplicationBuilder builder)
    {
        builder.UseMiddleware<RunScope>();
        bool exportsToCollector = builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is { Length: > 0 };
        bool exportsToMonitor = builder.Configuration["APPLICATIONINSIGHTS_CONNECTION_STRING"] is { Length: > 0 };
        if (!exportsToCollector && !exportsToMonitor) return builder;

        // What the framework says of each request holds its whole address, and with it the function key.
        builder.Logging.AddFilter<OpenTelemetryLoggerProvider>("Microsoft.AspNetCore", LogLevel.Warning).AddFilter<OpenTelemetryLoggerProvider>("Azure", LogLevel.Warning);
        var telemetry = builder.Services.AddOpenTelemetry()
            .UseFunctionsWorkerDefaults()
            .WithLogging(null, log => log.IncludeScopes = true)
            .WithTracing(spans => spans.AddSource([Stage.SourceName, .. Clients]).AddProcessor(new RunTag()))
            .WithMetrics(metrics => metrics.AddMeter(Instruments.MeterName));
        if (exportsToCollector) telemetry.UseOtlpExporter();
        if (exportsToMonitor) telemetry.UseAzureMonitorExporter(monitor => monitor.Credential = Credential(builder.Configuration["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]));
        return builder;
    }

    /// <summary>Null: the connection string's own key.</summary>
    internal static TokenCredential? Credential(string? authentication)
    {
        var parts = (authentication ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(part => part.Split('=', 2)).Where(part => part.Length == 2).ToDictionary(part => part[0], part => part[1], StringComparer.OrdinalIgnoreCase);
        if (!"AAD".Equals(parts.GetValueOrDefault("Authorization"), StringComparison.OrdinalIgnoreCase)) return null;
        return new ManagedIdentityCredential(parts.TryGetValue("ClientId", out string? id) ? ManagedIdentityId.FromUserAssignedClientId(id) : ManagedIdentityId.SystemAssigned);
    }
}
