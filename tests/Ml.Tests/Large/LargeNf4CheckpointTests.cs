using System.Diagnostics;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Tests.Large;

/// <summary>TinyLlama-1.1B's shape in 4 bits: what a machine needs to make it, and what every other has to fetch.</summary>
[Collection(LargeCheckpoint.Alone)]
[Trait("Category", "Slow")]
public sealed class LargeNf4CheckpointTests(LargeCheckpoint checkpoint, ITestOutputHelper output)
{
    private const long WritingMemory = 400_000_000;

    [Fact]
    public void Writing_it_holds_a_matrix_at_a_time_and_leaves_two_fifths_of_the_bytes()
    {
        var original = checkpoint.Folder;
        using var folder = new TemporaryFolder();
        var before = PeakMemory.Reset();
        var clock = Stopwatch.StartNew();
        Nf4Checkpoint.Write(original, folder.Root);
        var (seconds, peak) = (clock.Elapsed.TotalSeconds, PeakMemory.Read());
        var (size, originalSize) = (SizeOf(folder.Root), SizeOf(original));
        output.WriteLine(
            $"{originalSize / 1e6:F0} MB became {size / 1e6:F0} MB in {seconds:F1} s, peak resident {peak / 1e6:F0} MB, of which {before / 1e6:F0} MB before");
        Assert.True(peak - before <= WritingMemory, $"{peak - before} bytes");
        Assert.True(size < 0.4 * originalSize, $"{size} bytes of {originalSize}");
    }

    private static long SizeOf(string folder) => Directory.GetFiles(folder, "*.safetensors").Sum(file => new FileInfo(file).Length);
}
