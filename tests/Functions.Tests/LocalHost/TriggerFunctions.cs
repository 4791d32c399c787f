using System.Globalization;
using Azure.Storage.Blobs;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;

namespace RlhfFunctions.Functions.Tests.LocalHost;

public sealed class HttpFunctions(Probe probe)
{
    [Function(nameof(GetThing))]
    public IActionResult GetThing(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "things/{name}/{number:int?}")] HttpRequest request,
        string name,
        int number,
        FunctionContext context,
        CancellationToken cancellation)
    {
        probe.Calls.Enqueue(request.Path);
        return new OkObjectResult(new { name, number, function = context.FunctionDefinition.Name, cancellation.CanBeCanceled });
    }

    [Function(nameof(StartThing))]
    public static async Task<IActionResult> StartThing(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "things")] HttpRequest request,
        [DurableClient] DurableTaskClient client)
    {
        var letter = await request.ReadFromJsonAsync<string>();
        var id = await client.ScheduleNewOrchestrationInstanceAsync(nameof(SampleOrchestrators.Collect), letter, CancellationToken.None);
        return new AcceptedResult($"/api/things/{id}", client.CreateHttpManagementPayload(id));
    }

    [Function(nameof(Break))]
    public static IActionResult Break([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request) =>
        throw new InvalidOperationException("secret detail");
}

public sealed class TimerFunctions(Probe probe)
{
    [Function(nameof(Nightly))]
    public void Nightly([TimerTrigger("%NightlySchedule%")] TimerInfo timer) =>
        probe.Calls.Enqueue(string.Create(CultureInfo.InvariantCulture, $"past due: {timer.IsPastDue}"));

    [Function(nameof(AtOnce))]
    public static void AtOnce([TimerTrigger("0 0 3 * * *", RunOnStartup = true)] TimerInfo timer, FunctionContext context) =>
        ((Probe)context.InstanceServices.GetService(typeof(Probe))!).Calls.Enqueue("at once");
}

public sealed class BlobFunctions(Probe probe)
{
    public const string Container = "blob-trigger-tests";

    [Function(nameof(OnText))]
    public void OnText(
        [BlobTrigger($"{Container}/text/{{name}}.txt", Source = BlobTriggerSource.LogsAndContainerScan)] string text, string name) =>
        probe.Calls.Enqueue($"{name}: {text}");

    [Function(nameof(OnAny))]
    public static async Task OnAny([BlobTrigger($"{Container}/any/{{name}}")] BlobClient blob, FunctionContext context)
    {
        var probe = (Probe)context.InstanceServices.GetService(typeof(Probe))!;
        probe.Calls.Enqueue($"{blob.Name} is there: {(await blob.ExistsAsync()).Value}");
    }

    [Function(nameof(OnPoison))]
    public void OnPoison([BlobTrigger($"{Container}/poison/{{name}}")] byte[] content)
    {
        probe.Calls.Enqueue("poison");
        throw new InvalidDataException($"{content.Length} bytes of poison");
    }
}
