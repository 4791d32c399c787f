using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>Bodies in our JSON, read and written alike whatever the host's own options are.</summary>
internal static class Answers
{
    public static IActionResult Json(object value, int status = 200)
    {
        return Content(value, status, "application/json");
    }

    public static ContentResult Content(object value, int status, string contentType)
    {
        return new ContentResult { StatusCode = status, ContentType = contentType, Content = JsonSerializer.Serialize(value, ContractsJson.Options) };
    }

    /// <summary>JSON as somebody else spells it.</summary>
    public static IActionResult Json(object value, JsonSerializerOptions spelling)
    {
        return new ContentResult { StatusCode = 200, ContentType = "application/json", Content = JsonSerializer.Serialize(value, spelling) };
    }

    /// <summary>202: the run will be, or do, what was asked; its address tells.</summary>
    public static IActionResult Accepted(HttpRequest http, string runId)
    {
        string address = $"/api/runs/{runId}";
        http.HttpContext.Response.Headers.Location = address;
        return Json(new { RunId = runId, Status = address }, 202);
    }

    /// <summary>Reads a body that must be JSON of a shape.</summary>
    /// <param name="http">The request.</param>
    /// <param name="limits">How large it may be.</param>
    /// <param name="title">What to say where it is not of that shape.</param>
    /// <param name="example">Where a right body can be seen.</param>
    /// <param name="spelling">How it is spelled; null: as we do.</param>
    /// <exception cref="ProblemException">It is not.</exception>
    public static async Task<T> ReadAsync<T>(this HttpRequest http, Limits limits, string title, string example, JsonSerializerOptions? spelling = null)
        where T : class
    {
        if (!http.HasJsonContentType())
        {
            throw new ProblemException(new Problem(
                415, "not-json", "The body must be JSON.", "Send it with the header \"Content-Type: application/json\"."));
        }

        byte[] body = await ReadAsync(http, limits.BodyBytes);
        try
        {
            return JsonSerializer.Deserialize<T>(body.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? body.AsSpan(Encoding.UTF8.Preamble.Length) : body, spelling ?? ContractsJson.Strict)
                ?? throw new JsonException("The body is null.");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException) // the latter: an object that does not say its kind
        {
            throw new ProblemException(new Problem(400, "malformed-request", title, JsonProblem.Describe(e, example)));
        }
    }

    /// <summary>A body that is read as it comes, once.</summary>
    /// <param name="http">The request.</param>
    /// <param name="mostBytes">How long it may be.</param>
    /// <param name="limit">Which of the app's limits that is.</param>
    /// <returns>A stream that throws a <see cref="ProblemException"/> where there is more.</returns>
    public static Stream OpenUpload(this HttpRequest http, long mostBytes, string limit)
    {
        http.HttpContext.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = null; // the server's own
        long bytes = 0;
        return new ObservedStream(http.Body, piece =>
        {
            if ((bytes += piece.Length) <= mostBytes) return;
            throw new ProblemException(new Problem(
                413, "too-large", "The file is too large.", $"More than {mostBytes} bytes are not taken. Send less, or raise the setting RlhfLimits__{limit}."));
        });
    }

    /// <summary>Reads a body to its end also where it is too large: the host between could not pass on an answer that comes before.</summary>
    private static async Task<byte[]> ReadAsync(HttpRequest http, int mostBytes)
    {
        using var body = new MemoryStream();
        byte[] piece = new byte[1 << 16];
        for (int read; (read = await http.Body.ReadAsync(piece, http.HttpContext.RequestAborted)) > 0;)
        {
            if (body.Length <= mostBytes) body.Write(piece, 0, read);
        }

        return body.Length <= mostBytes
            ? body.ToArray()
            : throw new ProblemException(new Problem(
                413, "too-large", "The body is too large.", $"More than {mostBytes} bytes are not taken. Send less at once, or raise the setting RlhfLimits__BodyBytes."));
    }
}
