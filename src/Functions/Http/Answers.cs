using System.Text.Json;
using Microsoft.AspNetCore.Mvc;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>Answers in our JSON, whatever the host's own options are; errors as RFC 9457 problem+json.</summary>
internal static class Answers
{
    public static IActionResult Json(object value, int status = 200)
    {
        return Content(value, status, "application/json");
    }

    /// <param name="status">The HTTP status.</param>
    /// <param name="type">A stable name of the kind of problem.</param>
    /// <param name="title">What is wrong.</param>
    /// <param name="detail">Where, and what to do.</param>
    /// <param name="errors">What is wrong field by field.</param>
    public static IActionResult Problem(int status, string type, string title, string detail, IReadOnlyDictionary<string, string[]>? errors = null)
    {
        return Content(new { type = $"urn:rlhf:problem:{type}", title, status, detail, errors }, status, "application/problem+json");
    }

    /// <summary>What is wrong field by field, in a sentence and as data.</summary>
    public static IActionResult Invalid(string title, IReadOnlyDictionary<string, string[]> errors)
    {
        string summary = string.Join(" ", errors.Select(error => $"{error.Key}: {string.Join(" ", error.Value)}"));
        return Problem(400, "invalid-request", title, summary, errors);
    }

    private static ContentResult Content(object value, int status, string contentType)
    {
        return new ContentResult { StatusCode = status, ContentType = contentType, Content = JsonSerializer.Serialize(value, ContractsJson.Options) };
    }
}
