using System.Diagnostics;

namespace RlhfFunctions.Benchmarks;

/// <summary>One figure. Ratios above 1 mean that we are faster; null where a comparison does not apply or was not made.</summary>
/// <param name="Name">stage/model/batch.</param>
/// <param name="Value">The median.</param>
/// <param name="Unit">Of value, low and high.</param>
/// <param name="Low">The smallest.</param>
/// <param name="High">The largest.</param>
/// <param name="RatioToLibtorch">Against libtorch's own operations on the same shape, minutes apart at most.</param>
/// <param name="RatioToLlamaCpp">Against llama.cpp on the same shape in Q4_0.</param>
/// <param name="ShareOfLimit">Of what this machine's memory or matrix products, measured in the same run, would allow.</param>
/// <param name="PeakMemoryMb">Largest resident memory of the process meanwhile.</param>
internal sealed record Measurement(
    string Name, double Value, string Unit, double Low, double High, double? RatioToLibtorch = null, double? RatioToLlamaCpp = null,
    double? ShareOfLimit = null, double? PeakMemoryMb = null)
{
    /// <summary>Times something some times over, after once for nothing.</summary>
    public static double[] Seconds(int times, Action work, bool warmUp = true)
    {
        if (warmUp)
            work();
        return [.. Enumerable.Range(0, times).Select(_ =>
        {
            var clock = Stopwatch.StartNew();
            work();
            return clock.Elapsed.TotalSeconds;
        })];
    }

    /// <summary>So much work a second.</summary>
    public static Measurement Rate(string name, string unit, double amount, double[] seconds) =>
        Of(name, unit, [.. seconds.Select(s => amount / s)]);

    /// <summary>Numbers as they were measured.</summary>
    public static Measurement Of(string name, string unit, double[] values)
    {
        var sorted = values.Order().ToArray();
        return new(name, sorted[sorted.Length / 2], unit, sorted[0], sorted[^1]);
    }

    /// <summary>Starts to watch the peak anew.</summary>
    public static void ResetPeakMemory() => File.WriteAllText("/proc/self/clear_refs", "5");

    /// <summary>In megabytes.</summary>
    public static double PeakMemory() => double.Parse(
        File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(' ')[^2]) * 1024 / 1e6;
}
