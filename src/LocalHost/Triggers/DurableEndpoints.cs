using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.DurableTask.Client;
using RlhfFunctions.LocalHost.Durable;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>The management endpoints that <c>CreateHttpManagementPayload</c> points to; bodies and codes are Durable Functions'.</summary>
internal static class DurableEndpoints
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var instance = endpoints.MapGroup($"{LocalDurableTaskClient.ManagementPath}/instances/{{id}}");
        instance.MapGet("", GetStatusAsync);
        instance.MapDelete("", PurgeAsync);
        instance.MapPost("terminate", (string id, string? reason, DurableTaskClient client) =>
            SteerAsync(client, id, () => client.TerminateInstanceAsync(id, (object?)JsonValue.Create(reason))));
        instance.MapPost("suspend", (string id, string? reason, DurableTaskClient client) =>
            SteerAsync(client, id, () => client.SuspendInstanceAsync(id, reason)));
        instance.MapPost("resume", (string id, string? reason, DurableTaskClient client) =>
            SteerAsync(client, id, () => client.ResumeInstanceAsync(id, reason)));
        instance.MapPost("raiseEvent/{eventName}", RaiseEventAsync);
    }

    private static async Task<IResult> GetStatusAsync(string id, DurableTaskClient client, bool showInput = true)
    {
        if (await client.GetInstanceAsync(id, getInputsAndOutputs: true) is not { } found)
            return Results.NotFound();
        var body = new JsonObject
        {
            ["name"] = found.Name,
            ["instanceId"] = found.InstanceId,
            ["runtimeStatus"] = found.RuntimeStatus.ToString(),
            ["input"] = showInput ? Parse(found.SerializedInput) : null,
            ["customStatus"] = Parse(found.SerializedCustomStatus),
            ["output"] = Parse(found.SerializedOutput) ?? found.FailureDetails?.ErrorMessage,
            ["createdTime"] = Format(found.CreatedAt),
            ["lastUpdatedTime"] = Format(found.LastUpdatedAt),
        };
        return Results.Json(body, statusCode: found.IsCompleted ? StatusCodes.Status200OK : StatusCodes.Status202Accepted);
    }

    private static async Task<IResult> PurgeAsync(string id, DurableTaskClient client)
    {
        var purged = await client.PurgeInstanceAsync(id);
        return purged.PurgedInstanceCount == 0
            ? Results.NotFound()
            : Results.Json(new JsonObject { ["instancesDeleted"] = purged.PurgedInstanceCount });
    }

    private static async Task<IResult> RaiseEventAsync(string id, string eventName, HttpRequest request, DurableTaskClient client)
    {
        JsonNode? payload;
        try
        {
            payload = await JsonNode.ParseAsync(request.Body);
        }
        catch (JsonException invalid)
        {
            return Results.Problem($"The body must be JSON: {invalid.Message}", statusCode: StatusCodes.Status400BadRequest);
        }
        return await SteerAsync(client, id, () => client.RaiseEventAsync(id, eventName, payload));
    }

    private static async Task<IResult> SteerAsync(DurableTaskClient client, string id, Func<Task> steer)
    {
        if (await client.GetInstanceAsync(id) is not { } found)
            return Results.NotFound();
        if (found.IsCompleted)
            return Results.StatusCode(StatusCodes.Status410Gone);
        await steer();
        return Results.Accepted();
    }

    private static JsonNode? Parse(string? json) => json is null ? null : JsonNode.Parse(json);

    private static string Format(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
