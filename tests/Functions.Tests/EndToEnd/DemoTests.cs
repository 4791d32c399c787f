using System.Text.Json;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>The demo command as a user types it.</summary>
public sealed class DemoTests
{
    [Fact]
    public async Task Ctrl_C_stops_it_and_the_same_command_goes_on_to_the_end()
    {
        using var app = new LocalApp();
        string output = Path.Combine(app.DataFolder, "output");
        string[] command = ["demo", "--steps", "3", "--seed", "11", "--output", output, .. app.HostArguments];

        using (var interrupted = HostProcess.Start(command))
        {
            await WaitForLineAsync(interrupted, "step 1 of 3");
            interrupted.Terminate();
            Assert.Equal(130, await interrupted.WaitAsync(TimeSpan.FromSeconds(60)));
            Assert.Contains("goes on", interrupted.Error, StringComparison.Ordinal);
        }

        using var resumed = HostProcess.Start(command);
        Assert.Equal(0, await resumed.WaitAsync(TimeSpan.FromMinutes(3)));
        Assert.Contains("was under way and goes on", resumed.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("step 0 of 3", resumed.Output, StringComparison.Ordinal);
        Assert.Contains("hate probability", resumed.Output, StringComparison.Ordinal);

        using var evaluation = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(output, "evaluation.json")));
        Assert.Equal(11, evaluation.RootElement.GetProperty("seed").GetInt64());
        Assert.Equal(100, evaluation.RootElement.GetProperty("samples").GetArrayLength());
        Assert.Equal(3, (await File.ReadAllLinesAsync(Path.Combine(output, "metrics.jsonl"))).Length);
        using var config = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(output, "adapter", "adapter_config.json")));
        Assert.Equal("LORA", config.RootElement.GetProperty("peft_type").GetString());
        Assert.True(new FileInfo(Path.Combine(output, "adapter", "adapter_model.safetensors")).Length > 100_000);
        Assert.Contains(Path.Combine(output, "report.html"), resumed.Output, StringComparison.Ordinal);
        Assert.StartsWith("<!DOCTYPE html>", await File.ReadAllTextAsync(Path.Combine(output, "report.html")), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(output, "*.part", SearchOption.AllDirectories));
    }

    [Fact]
    [Trait("Category", "Slow")]
    public async Task A_series_of_seeds_that_is_not_whole_goes_on_with_those_it_lacks()
    {
        using var app = new LocalApp();
        string output = Path.Combine(app.DataFolder, "output");
        string[] common = ["--steps", "1", "--output", output, .. app.HostArguments];
        using (var first = HostProcess.Start(["demo", "--seeds", "4", .. common]))
            Assert.Equal(0, await first.WaitAsync(TimeSpan.FromMinutes(3)));
        string runOfFour = await File.ReadAllTextAsync(Path.Combine(output, "seed-4", "evaluation.json"));

        using var both = HostProcess.Start(["demo", "--seeds", "4..5", .. common]);
        Assert.Equal(0, await both.WaitAsync(TimeSpan.FromMinutes(3)));
        Assert.Contains("-4 was begun before", both.Output, StringComparison.Ordinal);
        Assert.Equal(runOfFour, await File.ReadAllTextAsync(Path.Combine(output, "seed-4", "evaluation.json")));
        Assert.True(File.Exists(Path.Combine(output, "seed-5", "report.html")));
        string table = await File.ReadAllTextAsync(Path.Combine(output, "seeds.md"));
        Assert.Contains("\n| 4 |", table, StringComparison.Ordinal);
        Assert.Contains("\n| 5 |", table, StringComparison.Ordinal);
        Assert.Contains(table, both.Output.ReplaceLineEndings("\n"), StringComparison.Ordinal); // to be copied whole
    }

    private static async Task WaitForLineAsync(HostProcess process, string text)
    {
        for (var deadline = DateTime.UtcNow.AddMinutes(3); !process.Output.Contains(text, StringComparison.Ordinal);)
        {
            Assert.False(process.HasExited, process.Error);
            Assert.True(DateTime.UtcNow < deadline, $"\"{text}\" was never printed:\n{process.Output}");
            await Task.Delay(50);
        }
    }
}
