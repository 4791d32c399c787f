using Microsoft.Extensions.Configuration;

namespace RlhfFunctions.Sources;

/// <summary>
/// The hosts that the app calls for a request's author, by one of its settings: as an address spells them, with the port where it is
/// another than the scheme's, separated by commas. None, unless the app's owner names some: the app stands in a network that a
/// request's author does not.
/// </summary>
internal sealed class AllowedHosts(IConfiguration configuration, string setting)
{
    private readonly string[] _hosts = (configuration[setting] ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>What is wrong with an address, or null.</summary>
    public string? ProblemWith(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address)) return $"\"{url}\" is no address.";
        return _hosts.Contains(address.Authority, StringComparer.OrdinalIgnoreCase) ? null
            : $"This app may not call {address.Authority}. Its owner allows hosts by the setting {setting}"
                + (_hosts.Length == 0 ? ", which names none." : $": {string.Join(", ", _hosts)}.");
    }

    /// <summary>What calls them; each request has a time limit of its own.</summary>
    public static HttpClient Connect()
    {
        return new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // or an allowed host could lead to any other
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = 1 << 20,
        };
    }
}
