using System.Globalization;
using System.Text;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Unicode's normalization form C (UAX #15), by a table of our own: .NET leaves texts as they are where it runs without ICU, as this
/// product does, and without a word.
/// </summary>
internal static class CanonicalForm
{
    private const char FirstCombining = '\u0300'; // no text without it or what follows changes
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int Leads = 19, Vowels = 21, Tails = 28;

    private static readonly Lazy<Tables> Known = new(Read);

    /// <summary>The text with its letters and accents composed.</summary>
    /// <param name="text">Without unpaired surrogates.</param>
    public static string Compose(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange(FirstCombining, char.MaxValue))
            return text;
        var tables = Known.Value;
        var points = new List<int>();
        foreach (var rune in text.EnumerateRunes())
            Decompose(rune.Value, tables, points);
        Order(points, tables);
        var composed = new StringBuilder(text.Length);
        foreach (var point in Compose(points, tables))
            composed.Append(new Rune(point).ToString());
        return composed.ToString();
    }

    private static void Decompose(int point, Tables tables, List<int> output)
    {
        var syllable = point - HangulBase;
        if (syllable is >= 0 and < Leads * Vowels * Tails)
        {
            output.Add(LeadBase + (syllable / (Vowels * Tails)));
            output.Add(VowelBase + (syllable / Tails % Vowels));
            if (syllable % Tails > 0)
                output.Add(TailBase + (syllable % Tails));
        }
        else if (tables.Parts.TryGetValue(point, out var parts))
        {
            foreach (var part in parts)
                Decompose(part, tables, output);
        }
        else
        {
            output.Add(point);
        }
    }

    /// <summary>Marks that follow one another, by their class, those of one class as they were.</summary>
    private static void Order(List<int> points, Tables tables)
    {
        for (var i = 1; i < points.Count; i++)
            for (var j = i; j > 0 && Class(points[j], tables) is > 0 and var own && Class(points[j - 1], tables) > own; j--)
                (points[j - 1], points[j]) = (points[j], points[j - 1]);
    }

    private static List<int> Compose(List<int> points, Tables tables)
    {
        var output = new List<int>(points.Count);
        var (starter, last) = (-1, 0); // where the last starter stands, and the class of what came last behind it
        foreach (var point in points)
        {
            var own = Class(point, tables);
            // A mark is blocked from its starter by another of its class or above.
            var isFree = starter >= 0 && (starter == output.Count - 1 || (last < own && last != 0));
            if (isFree && Pair(output[starter], point, tables) is { } whole)
            {
                output[starter] = whole;
                continue;
            }
            if (own == 0)
                starter = output.Count;
            last = own;
            output.Add(point);
        }
        return output;
    }

    private static int? Pair(int first, int second, Tables tables)
    {
        if (first is >= LeadBase and < LeadBase + Leads && second is >= VowelBase and < VowelBase + Vowels)
            return HangulBase + ((((first - LeadBase) * Vowels) + second - VowelBase) * Tails);
        var syllable = first - HangulBase;
        if (syllable is >= 0 and < Leads * Vowels * Tails && syllable % Tails == 0 && second is > TailBase and < TailBase + Tails)
            return first + second - TailBase;
        return tables.Wholes.TryGetValue((first, second), out var whole) ? whole : null;
    }

    private static int Class(int point, Tables tables) => tables.Classes.GetValueOrDefault(point);

    private static Tables Read()
    {
        var tables = new Tables([], [], []);
        using var reader = new StreamReader(typeof(CanonicalForm).Assembly.GetManifestResourceStream("canonical-forms.txt")!);
        while (reader.ReadLine() is { } line)
        {
            var words = line.Split(' ');
            if (words[0] == "#")
                continue;
            if (words[0] is "=" or "<")
            {
                int[] points = [.. words[1..].Select(Point)];
                tables.Parts[points[0]] = points[1..];
                if (words[0] == "=")
                    tables.Wholes[(points[1], points[2])] = points[0];
                continue;
            }
            foreach (var range in words[1..].Select(word => word.Split('-')))
                for (var point = Point(range[0]); point <= Point(range[^1]); point++)
                    tables.Classes[point] = byte.Parse(words[0], CultureInfo.InvariantCulture);
        }
        return tables;
    }

    private static int Point(string hexadecimal) => int.Parse(hexadecimal, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private sealed record Tables(Dictionary<int, int[]> Parts, Dictionary<(int First, int Second), int> Wholes, Dictionary<int, byte> Classes);
}
