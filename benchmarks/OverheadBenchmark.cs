using System.Diagnostics;
using System.Text.Json;

namespace RlhfFunctions.Benchmarks;

/// <summary>What a step costs beside its activities: the engine, its queues and the host. Of two runs of different length, so that start and end do not count.</summary>
internal static class OverheadBenchmark
{
    private const int Few = 8, Many = 40;

    public static IEnumerable<Measurement> Run(string root)
    {
        var (few, many) = (Other(root, Few), Other(root, Many));
        yield return Measurement.Of("overhead/step", "s", [(many - few) / (Many - Few)]);
    }

    /// <summary>Seconds of a whole run that no activity accounts for.</summary>
    private static double Other(string root, int steps)
    {
        var folder = Directory.CreateTempSubdirectory("rlhf-overhead-").FullName;
        try
        {
            string[] arguments =
            [
                "run", "-c", "Release", "--project", Path.Combine(root, "src", "LocalHost"), "--", "demo", "--request", Path.Combine(root, "samples", "soak.json"),
                "--steps", $"{steps}", "--data", folder, "--output", Path.Combine(folder, "out"), "--port", "17971", "--azurite-port", "17972",
            ];
            using var demo = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
            demo.StandardOutput.ReadToEnd();
            demo.WaitForExit();
            if (demo.ExitCode != 0)
                throw new InvalidOperationException($"The demo ended with {demo.ExitCode}; dotnet {string.Join(' ', arguments)} shows why.");
            using var report = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "out", "evaluation.json")));
            return report.RootElement.GetProperty("secondsByStage").GetProperty("other").GetDouble();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
