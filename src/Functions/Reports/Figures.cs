using System.Globalization;

namespace RlhfFunctions.Reports;

/// <summary>Numbers as all pages write them.</summary>
internal static class Figures
{
    /// <summary>Null where there is none; what rounds to nothing has no sign.</summary>
    public static string? Text(double? value, string format)
    {
        string? text = value?.ToString(format, CultureInfo.InvariantCulture);
        return text is ['-', .. var rest] && rest.All(letter => letter is '0' or '.') ? rest : text;
    }
}
