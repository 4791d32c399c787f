using RlhfFunctions.Functions.Tests.Reports;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.Cli;

/// <summary>demo --seeds: how seeds are spelt, and the table of what they came to.</summary>
public sealed class SeedListTests
{
    [Theory]
    [InlineData("0..4", new long[] { 0, 1, 2, 3, 4 })]
    [InlineData("0,3, 7", new long[] { 0, 3, 7 })]
    [InlineData("7,0..2,1", new long[] { 7, 0, 1, 2 })]
    [InlineData("5", new long[] { 5 })]
    public void Ranges_and_single_seeds_are_read_in_their_order(string text, long[] seeds)
    {
        Assert.Equal(seeds, SeedList.Parse(text));
    }

    [Theory]
    [InlineData("")]
    [InlineData("4..0")]
    [InlineData("0..")]
    [InlineData("-1")]
    [InlineData("a,b")]
    [InlineData("0..1000000")]
    [InlineData("0..999,1000..1001")]
    [InlineData("99999999999999999999")]
    public void What_is_no_list_is_refused_as_it_was_written(string text)
    {
        var error = Assert.Throws<UserErrorException>(() => SeedList.Parse(text));
        Assert.Contains($"\"{text}\"", error.Message, StringComparison.Ordinal);
        Assert.Contains("0..4", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_is_markdown_with_a_row_for_each_seed()
    {
        string[] lines = SeedTable.Markdown([SampleReport.Report, SampleReport.Report with { Seed = 7 }]).TrimEnd('\n').Split('\n');
        Assert.Equal(4, lines.Length);
        Assert.All(lines, line => Assert.Equal(lines[0].Count(letter => letter == '|'), line.Count(letter => letter == '|')));
        Assert.Equal(
            "| 3 | 0.562 (0.532 – 0.592) | **0.072** (0.042 – 0.102) | 0.540 → 0.558 | 1.41 (1.21 – 1.61) | 0.55 | 63 % → 63 % | 19.2 → 18.3 | 96 % → 96 % |",
            lines[2]);
        Assert.StartsWith("| 7 |", lines[3], StringComparison.Ordinal);
    }
}
