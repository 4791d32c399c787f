using Microsoft.Extensions.Configuration;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>Which hub is asked, as whom, and how patiently.</summary>
/// <param name="Endpoint">Its address, with a slash at its end.</param>
/// <param name="Token">The access token, sent to this address and nowhere else; null: anonymous.</param>
public sealed record HubSettings(Uri Endpoint, string? Token)
{
    private const string DefaultEndpoint = "https://huggingface.co";

    /// <summary>A connection that carries no byte for so long is given up and opened anew.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How often a request is repeated without a byte gained before the fault is reported.</summary>
    public int Retries { get; init; } = 6;

    /// <summary>The wait before the first repetition; it doubles from one to the next, up to <see cref="LongestBackOff"/>.</summary>
    public TimeSpan FirstBackOff { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan LongestBackOff { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest wait that a server may ask for with Retry-After.</summary>
    public TimeSpan LongestRetryAfter { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Reads <c>HF_ENDPOINT</c> and <c>HF_TOKEN</c>, named as Hugging Face's own tools name them.</summary>
    /// <exception cref="InvalidInputException">HF_ENDPOINT is no HTTP address.</exception>
    public static HubSettings Read(IConfiguration configuration)
    {
        string endpoint = configuration["HF_ENDPOINT"] is { Length: > 0 } named ? named : DefaultEndpoint;
        if (!Uri.TryCreate(endpoint.TrimEnd('/') + "/", UriKind.Absolute, out var address) || address.Scheme is not ("https" or "http"))
            throw new InvalidInputException($"HF_ENDPOINT is \"{endpoint}\", which is no address. Set it to one such as {DefaultEndpoint}, or leave it out.");
        return new HubSettings(address, configuration["HF_TOKEN"]?.Trim() is { Length: > 0 } token ? token : null);
    }

    /// <summary>Without the token: settings may end up in a log.</summary>
    public override string ToString()
    {
        return $"{Endpoint} ({(Token is null ? "anonymous" : "with a token")})";
    }
}
