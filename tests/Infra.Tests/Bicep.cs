using System.Diagnostics;
using System.Reflection;

namespace RlhfFunctions.Infra.Tests;

/// <summary>The command line of the package Azure.Bicep.CommandLine.linux-x64.</summary>
internal static class Bicep
{
    /// <summary>Names derive from the subscription; this one makes snapshots the same everywhere.</summary>
    public const string Subscription = "00000000-0000-0000-0000-000000000000";

    private static readonly string Tool = Prepare();

    /// <summary>A run that must have nothing to say against its input.</summary>
    /// <returns>Its output.</returns>
    public static string RunClean(params string[] arguments)
    {
        return Run(new Dictionary<string, string>(), arguments).Clean();
    }

    /// <param name="environment">What main.bicepparam may read; nothing of the machine's own environment reaches it.</param>
    /// <param name="arguments">The command line.</param>
    public static BicepResult Run(IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var start = Command(arguments);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new BicepResult(process.ExitCode, output, errors.GetAwaiter().GetResult());
    }

    public static ProcessStartInfo Command(params string[] arguments)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The Bicep package is Linux's.");
        var start = new ProcessStartInfo(Tool, arguments);
        foreach (string name in start.Environment.Keys.Except(["HOME", "PATH", "TMPDIR"]).ToArray()) start.Environment.Remove(name);
        start.Environment["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1";
        return start;
    }

    private static string Prepare()
    {
        string tool = typeof(Bicep).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "Bicep").Value!;
        // Packages lose the executable bit.
        if (OperatingSystem.IsLinux() && !File.GetUnixFileMode(tool).HasFlag(UnixFileMode.UserExecute))
            File.SetUnixFileMode(tool, File.GetUnixFileMode(tool) | UnixFileMode.UserExecute);
        return tool;
    }
}

internal sealed record BicepResult(int ExitCode, string Output, string Messages)
{
    /// <summary>The output of a run that had nothing to say against its input.</summary>
    public string Clean()
    {
        Assert.Equal("", Messages);
        Assert.Equal(0, ExitCode);
        return Output;
    }
}
