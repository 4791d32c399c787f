using System.Globalization;
using System.Text.RegularExpressions;

namespace RlhfFunctions.Contracts;

/// <summary>What an hour of one replica that computes costs.</summary>
/// <param name="PerHour">In the currency.</param>
/// <param name="Currency">Three letters, as ISO 4217 has them.</param>
public sealed partial record Price(double PerHour, string Currency)
{
    /// <summary>The app setting it is read from.</summary>
    public const string Setting = "RlhfPricePerHour";

    /// <summary>Reads "0.90 EUR"; empty: there is no price.</summary>
    /// <exception cref="FormatException">It is something else.</exception>
    public static Price? Parse(string? text)
    {
        if (string.IsNullOrWhiteSpace(text)) return null;
        var parts = Form().Match(text);
        return parts.Success
            ? new Price(double.Parse(parts.Groups[1].ValueSpan, CultureInfo.InvariantCulture), parts.Groups[2].Value)
            : throw new FormatException($"The setting {Setting} must be a number and a currency, such as \"0.90 EUR\", but is \"{text}\".");
    }

    [GeneratedRegex(@"^\s*(\d+(?:\.\d+)?)\s+([A-Z]{3})\s*$")]
    private static partial Regex Form();
}
