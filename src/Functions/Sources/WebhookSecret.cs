using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>
/// What the app signs its notices with, as Standard Webhooks has it: HMAC-SHA256 over id, time and body. While a secret gives way to
/// another both sign, and whoever knows either can tell.
/// Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
/// </summary>
public sealed class WebhookSecret
{
    /// <summary>The app setting it is read from.</summary>
    public const string Setting = "RlhfWebhookSecret";

    private const string Prefix = "whsec_";
    private const int LeastBytes = 24, MostBytes = 64;

    private readonly byte[][] _keys;

    /// <param name="text">whsec_ and a key in base64; several, with spaces between them; null or empty: none.</param>
    /// <exception cref="InvalidInputException">It is something else.</exception>
    public WebhookSecret(string? text)
    {
        _keys = [.. (text ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(ReadKey)];
    }

    /// <summary>Whether there is one.</summary>
    public bool IsSet => _keys.Length > 0;

    /// <summary>The header <c>webhook-signature</c>: one for each secret, with spaces between them.</summary>
    /// <param name="id">The header <c>webhook-id</c>.</param>
    /// <param name="seconds">The header <c>webhook-timestamp</c>: of this attempt, in seconds since 1970.</param>
    /// <param name="body">What is sent.</param>
    public string Sign(string id, long seconds, ReadOnlySpan<byte> body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{seconds}.")), .. body];
        return string.Join(' ', _keys.Select(key => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(key, signed))}"));
    }

    private static byte[] ReadKey(string secret)
    {
        if (secret.StartsWith(Prefix, StringComparison.Ordinal) && Base64.IsValid(secret.AsSpan(Prefix.Length)))
        {
            byte[] key = Convert.FromBase64String(secret[Prefix.Length..]);
            if (key.Length is >= LeastBytes and <= MostBytes) return key;
        }

        throw new InvalidInputException($"The setting {Setting} must be \"{Prefix}\" and {LeastBytes} to {MostBytes} random bytes in base64; "
            + "while one secret gives way to another, both, with a space between them.");
    }
}
