using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>Who is told that a run has ended: one POST, signed as Standard Webhooks has it.</summary>
public sealed record NotifySettings
{
    /// <summary>Where it is posted. Its host must be allowed by the app's setting RlhfWebhookHosts.</summary>
    [RegularExpression("^https?://[^\\s]+$", ErrorMessage = "must be an address that begins with http:// or https://.")]
    public required string Url { get; init; }
}
