using System.Globalization;
using System.Runtime.InteropServices;

namespace RlhfFunctions.Ml.Tests.Large;

/// <summary>The most memory this process held at once, as Linux counts it.</summary>
internal static partial class PeakMemory
{
    /// <summary>Starts counting anew; skips the calling test where the system cannot.</summary>
    /// <returns>Resident now, in bytes.</returns>
    public static long Reset()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux tells a process's peak memory since a point in time.");
        GC.Collect();
        GC.WaitForPendingFinalizers();
        _ = TrimHeap(0); // what earlier tests freed must not serve this one
        File.WriteAllText("/proc/self/clear_refs", "5");
        return Read("VmRSS");
    }

    /// <summary>The peak since <see cref="Reset"/>, in bytes.</summary>
    public static long Read() => Read("VmHWM");

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int TrimHeap(nuint keep);

    private static long Read(string field)
    {
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(field + ":", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
