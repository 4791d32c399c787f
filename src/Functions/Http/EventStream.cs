using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;

namespace RlhfFunctions.Http;

/// <summary>An answer of server-sent events, each with JSON as its data; <c>[DONE]</c> is the last.</summary>
internal sealed class EventStream : IActionResult
{
    private readonly IAsyncEnumerator<object> _events;
    private readonly CancellationTokenSource _stop;
    private readonly JsonSerializerOptions _json;

    private EventStream(IAsyncEnumerator<object> events, CancellationTokenSource stop, JsonSerializerOptions json)
    {
        (_events, _stop, _json) = (events, stop, json);
    }

    /// <summary>Waits for the first event: what goes wrong before it can still be answered in the usual way.</summary>
    /// <param name="events">At least one.</param>
    /// <param name="json">How they are written.</param>
    public static async Task<IActionResult> OpenAsync(IAsyncEnumerable<object> events, JsonSerializerOptions json)
    {
        var stop = new CancellationTokenSource(); // the request's own token ends before its answer is written
        var opened = events.GetAsyncEnumerator(stop.Token);
        try
        {
            await opened.MoveNextAsync();
            return new EventStream(opened, stop, json);
        }
        catch
        {
            await opened.DisposeAsync();
            stop.Dispose();
            throw;
        }
    }

    public async Task ExecuteResultAsync(ActionContext context)
    {
        var http = context.HttpContext;
        http.Response.ContentType = "text/event-stream";
        using var stop = _stop;
        await using var gone = http.RequestAborted.Register(_stop.Cancel);
        await using var events = _events;
        try
        {
            do await WriteAsync(http, JsonSerializer.Serialize(events.Current, _json));
            while (await events.MoveNextAsync());
            await WriteAsync(http, "[DONE]");
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be answered.
        }
        catch (Exception e)
        {
            await WriteAsync(http, JsonSerializer.Serialize(new { Error = Problem.Of(e, isLate: false) }, _json));
        }
    }

    private static async Task WriteAsync(HttpContext http, string data)
    {
        await http.Response.WriteAsync($"data: {data}\n\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }
}
