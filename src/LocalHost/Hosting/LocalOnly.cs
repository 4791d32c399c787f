using Microsoft.AspNetCore.Http;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>
/// Locally no key is asked for, so whatever reaches the port may start runs. A page of the web that a developer happens to have
/// open reaches it too, through the browser: its requests carry a foreign Origin, or the foreign Host that was made to point here,
/// or, being forms, no JSON.
/// </summary>
internal static class LocalOnly
{
    public static async Task Guard(HttpContext http, RequestDelegate next)
    {
        var request = http.Request;
        if (!IsLoopback(request.Host.Host))
        {
            await Problem.WriteAsync(http, 403, "foreign-host", "This host answers only under its own name.",
                $"The Host header says \"{request.Host}\". Use http://localhost:{http.Connection.LocalPort}.");
        }
        else if (request.Headers.Origin is [{ } origin] && !IsOwn(origin, http.Connection.LocalPort))
        {
            await Problem.WriteAsync(http, 403, "foreign-origin", "Pages of other origins may not use this host.",
                $"The Origin header says \"{origin}\". Open pages from http://localhost:{http.Connection.LocalPort}, or send the request from a program.");
        }
        else if (HttpMethods.IsPost(request.Method) && !request.HasJsonContentType())
        {
            await Problem.WriteAsync(http, 415, "not-json", "A POST must be JSON.",
                "Send it with the header \"Content-Type: application/json\", also where the body is empty: curl --json.");
        }
        else
        {
            await next(http);
        }
    }

    private static bool IsLoopback(string host)
    {
        return host is "localhost" or "127.0.0.1" or "[::1]";
    }

    private static bool IsOwn(string origin, int port)
    {
        return Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Scheme == "http" && IsLoopback(uri.Host) && uri.Port == port;
    }
}
