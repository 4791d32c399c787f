using RlhfFunctions.Samples.Make;
using RlhfFunctions.Samples.Make.Quality;

namespace RlhfFunctions.Samples.Tests;

/// <summary>Rewards with a planted fault, and the honest one: a part of what `samples/make -- hacks` does.</summary>
[Trait("Category", "Slow")]
public class HackSuiteTests
{
    [Fact]
    public void Planted_faults_are_caught_and_honest_runs_are_not_stopped()
    {
        var demo = Path.Combine(Repository.Root, "samples", "demo.json");
        var runs = HackSuite.Run(demo, seeds: [0], honestSeeds: [0, 1]).ToList();
        var (table, holds) = HackSuite.Sum(runs);
        Assert.True(holds, $"{table}\n{string.Join('\n', runs)}");
        Assert.Equal(PlantedHacks.All.Count + 2, runs.Count);
        Assert.All(runs.Where(run => run.IsHack), run => Assert.True(run.Chosen < run.Steps - 1, $"{run}"));
    }
}
