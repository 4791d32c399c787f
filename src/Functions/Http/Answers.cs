using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using RlhfFunctions.Contracts;

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

    /// <summary>Reads a body that must be JSON of a shape.</summary>
    /// <param name="http">The request.</param>
    /// <param name="title">What to say where it is not.</param>
    /// <param name="example">Where a right body can be seen.</param>
    /// <exception cref="ProblemException">It is not.</exception>
    public static async Task<T> ReadAsync<T>(this HttpRequest http, string title, string example)
        where T : class
    {
        if (!http.HasJsonContentType())
        {
            throw new ProblemException(new Problem(
                415, "not-json", "The body must be JSON.", "Send it with the header \"Content-Type: application/json\"."));
        }

        try
        {
            return await JsonSerializer.DeserializeAsync<T>(http.Body, ContractsJson.Strict, http.HttpContext.RequestAborted)
                ?? throw new JsonException("The body is null.");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException) // the latter: an object that does not say its kind
        {
            throw new ProblemException(new Problem(400, "malformed-request", title, JsonProblem.Describe(e, example)));
        }
    }
}
