using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.LocalHost;

public sealed class TriggerTests(AzuriteFixture azurite)
{
    private readonly string _taskHub = AzuriteFixture.NewContainerName();

    [Fact]
    public async Task Http_functions_get_route_values_and_answer_with_their_action_result()
    {
        await using var host = await StartAsync(typeof(HttpFunctions));
        var thing = await host.Http.GetFromJsonAsync<JsonObject>("/api/things/rope/3");
        Assert.Equal("""{"name":"rope","number":3,"function":"GetThing","canBeCanceled":true}""", thing!.ToJsonString());
    }

    [Theory]
    [InlineData("GET", "/api/things/rope/long", HttpStatusCode.NotFound)]
    [InlineData("GET", "/api/things/rope", HttpStatusCode.BadRequest)]
    [InlineData("DELETE", "/api/things/rope/3", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", "/things/rope/3", HttpStatusCode.NotFound)]
    public async Task Requests_that_fit_no_function_are_refused(string method, string path, HttpStatusCode status)
    {
        await using var host = await StartAsync(typeof(HttpFunctions));
        Assert.Equal(status, (await host.Http.SendAsync(new(new(method), path))).StatusCode);
    }

    [Fact]
    public async Task An_exception_becomes_problem_json_without_its_details()
    {
        await using var host = await StartAsync(typeof(HttpFunctions));
        var answer = await host.Http.PutAsync("/api/Break", null);
        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.DoesNotContain("secret", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("Error: HTTP function Break failed.", host.Log);
    }

    [Fact]
    public async Task The_management_addresses_watch_and_steer_an_instance()
    {
        await using var host = await StartAsync(typeof(HttpFunctions), typeof(SampleOrchestrators));
        var start = await host.Http.PostAsJsonAsync("/api/things", "abc");
        Assert.Equal(HttpStatusCode.Accepted, start.StatusCode);
        var payload = new JsonObject(
            (await start.Content.ReadFromJsonAsync<JsonObject>())!.Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone())),
            new() { PropertyNameCaseInsensitive = true });
        var status = (string)payload["statusQueryGetUri"]!;

        var running = await host.Http.GetAsync(new Uri(status));
        Assert.Equal(HttpStatusCode.Accepted, running.StatusCode);
        Assert.Equal(HttpStatusCode.Accepted, await PostAsync("suspendPostUri"));
        Assert.Equal("Suspended", (string)(await host.Http.GetFromJsonAsync<JsonObject>(status))!["runtimeStatus"]!);
        Assert.Equal(HttpStatusCode.Accepted, await PostAsync("resumePostUri"));
        Assert.Equal(HttpStatusCode.Accepted, await PostAsync("sendEventPostUri"));
        await host.FinishAsync((string)payload["id"]!);

        var done = await host.Http.GetAsync(new Uri(status));
        Assert.Equal(HttpStatusCode.OK, done.StatusCode);
        var body = (await done.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal(
            ["name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime", "lastUpdatedTime"],
            body.Select(pair => pair.Key));
        Assert.Equal("abcd", (string)body["output"]!);
        Assert.Equal(HttpStatusCode.Gone, await PostAsync("terminatePostUri"));
        Assert.Equal(HttpStatusCode.OK, (await host.Http.DeleteAsync(new Uri((string)payload["purgeHistoryDeleteUri"]!))).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await host.Http.GetAsync(new Uri(status))).StatusCode);

        async Task<HttpStatusCode> PostAsync(string name) => (await host.Http.PostAsJsonAsync(
            ((string)payload[name]!).Replace("{eventName}", "letter", StringComparison.Ordinal), "d")).StatusCode;
    }

    [Fact]
    public async Task A_timer_missed_while_no_host_ran_fires_once_as_past_due()
    {
        await azurite.Blobs.GetBlobContainerClient(_taskHub).CreateAsync();
        await azurite.Blobs.GetBlobContainerClient(_taskHub).UploadBlobAsync("timers/Nightly.json", BinaryData.FromObjectAsJson(
            new ScheduleStatus { Next = DateTime.UtcNow.AddHours(-2), Last = DateTime.UtcNow.AddHours(-26) }));
        for (var start = 1; start <= 2; start++)
            await using (var host = await StartTimersAsync("0 0 3 1 1 *"))
            {
                await UntilAsync(() => host.Probe.Count("at once") == 1);
                await Task.Delay(100);
                Assert.Equal(start == 1 ? 1 : 0, host.Probe.Count("past due: True"));
            }
    }

    [Fact]
    public async Task A_timer_fires_at_its_schedule()
    {
        await using var host = await StartTimersAsync("* * * * * *");
        await UntilAsync(() => host.Probe.Count("past due: False") >= 2);
    }

    [Theory]
    [InlineData("every night", "'every night' is not a schedule of six fields")]
    [InlineData(null, "the setting 'NightlySchedule', which is not set")]
    public async Task A_schedule_that_cannot_be_read_stops_the_start(string? schedule, string message)
    {
        var refusal = await Assert.ThrowsAsync<UserErrorException>(() => StartTimersAsync(schedule));
        Assert.Contains(message, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_blob_fires_once_for_each_version_across_restarts_and_poison_is_set_aside()
    {
        var container = azurite.Blobs.GetBlobContainerClient(BlobFunctions.Container);
        var probe = new Probe();
        await using (await TestHost.StartAsync(azurite.Blobs, _taskHub, [typeof(BlobFunctions)], probe))
        {
            await UntilAsync(() => container.Exists());
            await container.UploadBlobAsync("text/a.txt", new BinaryData("one"));
            await container.UploadBlobAsync("text/a.csv", new BinaryData("not meant"));
            await container.UploadBlobAsync("any/b", new BinaryData("anything"));
            await container.UploadBlobAsync("poison/c", new BinaryData("???"));
            await UntilAsync(() => probe.Count("a: one") == 1 && probe.Count("any/b is there: True") == 1 && probe.Count("poison") == 5);
            await Task.Delay(300);
        }
        await using (await TestHost.StartAsync(azurite.Blobs, _taskHub, [typeof(BlobFunctions)], probe))
        {
            await container.GetBlobClient("text/a.txt").UploadAsync(new BinaryData("two"), overwrite: true);
            await UntilAsync(() => probe.Count("a: two") == 1);
            await Task.Delay(500);
        }
        Assert.Equal(8, probe.Calls.Count);
    }

    [Theory]
    [InlineData(typeof(NoTrigger), "must have exactly one parameter with a trigger attribute; it has 0")]
    [InlineData(typeof(UnknownParameter), "(UnknownParameter.Run): the parameter 'Int32 page' cannot be bound: its trigger offers only")]
    [InlineData(typeof(WrongResult), "must return IActionResult")]
    [InlineData(typeof(WrongTriggerType), "the parameter 'String text' cannot be bound: its trigger gives TimerInfo")]
    public async Task A_function_that_cannot_be_hosted_stops_the_start_and_is_named(Type functions, string message)
    {
        var refusal = await Assert.ThrowsAsync<UserErrorException>(() => StartAsync(functions));
        Assert.Contains(message, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_functions_of_one_name_are_refused()
    {
        var refusal = await Assert.ThrowsAsync<UserErrorException>(() => StartAsync(typeof(OneOfTwo), typeof(OtherOfTwo)));
        Assert.Contains("Two functions are named 'Lost': OneOfTwo.Run and OtherOfTwo.Run", refusal.Message, StringComparison.Ordinal);
    }

    private Task<TestHost> StartAsync(params Type[] functions) => TestHost.StartAsync(azurite.Blobs, _taskHub, functions);

    private Task<TestHost> StartTimersAsync(string? schedule) => TestHost.StartAsync(
        azurite.Blobs, _taskHub, [typeof(TimerFunctions)], configure: builder =>
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["NightlySchedule"] = schedule }));

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var patience = 200; !condition(); patience--)
        {
            Assert.True(patience > 0, "Waited ten seconds in vain.");
            await Task.Delay(50);
        }
    }

    public static class OneOfTwo
    {
        [Function("Lost")]
        public static void Run([ActivityTrigger] string input) => _ = input;
    }

    public static class OtherOfTwo
    {
        [Function("Lost")]
        public static void Run([ActivityTrigger] string input) => _ = input;
    }

    public static class NoTrigger
    {
        [Function("Lost")]
        public static void Run(string nothing) => _ = nothing;
    }

    public static class UnknownParameter
    {
        [Function("Lost")]
        public static IActionResult Run(
            [HttpTrigger(AuthorizationLevel.Function, "get", Route = "{name}")] HttpRequest request, int page) => new OkObjectResult(page);
    }

    public static class WrongResult
    {
        [Function("Lost")]
        public static string Run([HttpTrigger(AuthorizationLevel.Function, "get")] HttpRequest request) => request.Path;
    }

    public static class WrongTriggerType
    {
        [Function("Lost")]
        public static void Run([TimerTrigger("0 0 3 * * *")] string text) => _ = text;
    }
}
