using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>What the host itself has to say instead of the app, in the app's form: RFC 9457 problem+json.</summary>
internal static class Problem
{
    public static Task WriteAsync(HttpContext http, int status, string type, string title, string detail)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsJsonAsync(
            new { type = $"urn:rlhf:problem:{type}", title, status, detail }, JsonSerializerOptions.Web, "application/problem+json");
    }
}
