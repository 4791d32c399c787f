namespace RlhfFunctions.Ml.Preferences;

/// <summary>Krippendorff's α for nominal values (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011).</summary>
public static class Agreement
{
    /// <summary>1: all agree; 0: as chance would; below: worse than that.</summary>
    /// <param name="units">The values given to each unit, one per annotator who judged it.</param>
    /// <returns>Null where no unit has two values, or all values are the same.</returns>
    public static double? Krippendorff<T>(IEnumerable<IReadOnlyCollection<T>> units)
        where T : notnull
    {
        var pairable = units.Where(values => values.Count > 1).ToArray();
        var totals = pairable.SelectMany(values => values).CountBy(value => value).ToDictionary();
        double count = totals.Values.Sum();
        // Ordered pairs of different values: within units, each weighted by 1 / (m − 1), and among all values.
        var observed = pairable.Sum(values =>
            (values.Count * (double)values.Count - values.CountBy(value => value).Sum(group => group.Value * (double)group.Value)) / (values.Count - 1));
        var expected = ((count * count) - totals.Values.Sum(total => total * (double)total)) / (count - 1);
        return expected > 0 ? 1 - (observed / expected) : null;
    }
}
