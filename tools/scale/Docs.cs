using System.Text;
using static System.FormattableString;
using static RlhfFunctions.Scale.Limits;

namespace RlhfFunctions.Scale;

/// <summary>The tables of docs/scale.md and its chart.</summary>
public static class Docs
{
    public const string Start = "<!-- made by `dotnet run -c Release --project tools/scale -- docs`; do not edit -->", End = "<!-- made until here -->";

    /// <summary>EUR for an hour of a replica, where nobody has said another: a round number to multiply by.</summary>
    public const double RoundPrice = 1;

    /// <summary>In tools/scale/stages: a measured replica, and the GPU.</summary>
    public static readonly IReadOnlyList<string> StageFiles = ["tinyllama-cpu.json", "a100.json"];

    internal static readonly int[] Batches = [256, 4096, 65_536];

    private static readonly Platform Platform = new();

    private static readonly int[] WarmReplicas = [1, 4, 16, 64, 256, 1000], ColdReplicas = [1, 16, 256, 1000], UpdateShards = [1, 2, 4, 8, 16, 32, 64, 128, 256];

    private static readonly (int Replicas, int Epochs, int OptimizerSteps, int UpdateShards)[] Settings =
        [(64, 4, 4, 1), (64, 4, 4, 8), (64, 4, 4, 64), (64, 1, 4, 1), (64, 1, 4, 64), (1000, 4, 4, 1), (1000, 4, 4, 64), (1000, 4, 4, 256), (1000, 4, 1, 256), (1000, 1, 1, 256)];

    /// <param name="page">The page as it is.</param>
    /// <param name="stages">What the figures are for, by column group: a measured replica and a GPU.</param>
    /// <returns>The page with the tables as they are now.</returns>
    public static string Fill(string page, IReadOnlyList<StageTimes> stages)
    {
        int from = page.IndexOf(Start, StringComparison.Ordinal), to = page.IndexOf(End, StringComparison.Ordinal);
        if (from < 0 || to < from) throw new InvalidDataException($"docs/scale.md lacks the two lines that say what is made:\n{Start}\n{End}");
        return page[..(from + Start.Length)] + "\n" + Tables(stages) + page[to..];
    }

    private static string Tables(IReadOnlyList<StageTimes> stages)
    {
        var text = new StringBuilder();
        foreach (var times in stages)
        {
            double balance = Work.Balance(times, new Plan { BatchSize = 4096 });
            text.AppendLine(Invariant($"\n### {times.Name}\n{times.Source}\n\nOn one replica all rollouts of a step take {Number(balance)} times as long as its update; from that many replicas on, a single update is the bottleneck.\n"));
            text.Append(Warm(times));
        }

        var gpu = stages[^1];
        text.AppendLine(Invariant($"\n### What moves the bottleneck\n{gpu.Name}, 65,536 samples a step.\n"));
        text.Append(Moves(gpu));
        text.AppendLine(Invariant($"\n### From nothing\n{gpu.Name}, 4,096 samples a step, four steps, 16 update shards at most; replicas are paid from their start until {Platform.CooldownSeconds} s after the last message.\n"));
        text.Append(Cold(gpu));
        text.AppendLine("\n### What is asked of the platform\nBy 1,000 replicas with 65,536 samples a step and 64 update shards.\n");
        text.AppendLine("| limit | asked | allowed | source |\n|---|---|---|---|");
        foreach (var limit in Of(gpu, Platform, new Plan { Replicas = 1000, BatchSize = 65_536, UpdateShards = 64 }))
            text.AppendLine(Invariant($"| {limit.What} | {limit.Asked} | {limit.Allowed} | {limit.Source} |"));
        return text.ToString().ReplaceLineEndings("\n") + "\n";
    }

    private static string Warm(StageTimes stages)
    {
        var text = new StringBuilder("| samples a step | replicas | tokens/s, one update | efficiency | best `updateShards` | tokens/s | efficiency | EUR a million tokens |\n|---|---|---|---|---|---|---|---|\n");
        foreach (int batch in Batches)
        {
            double alone = Simulate(stages, batch, 1, 1).TokensPerSecond;
            foreach (int replicas in WarmReplicas.Where(replicas => replicas <= batch))
            {
                var (single, best) = (Simulate(stages, batch, replicas, 1), Best(stages, batch, replicas));
                text.AppendLine(Invariant($"| {batch:N0} | {replicas:N0} | {Number(single.TokensPerSecond)} | {single.TokensPerSecond / alone / replicas:P1} | {best.Plan.UpdateShards} | {Number(best.TokensPerSecond)} | {best.TokensPerSecond / alone / replicas:P1} | {Number(best.PricePerMillion(RoundPrice))} |"));
            }
        }

        return text.ToString();
    }

    private static string Moves(StageTimes stages)
    {
        var text = new StringBuilder("| replicas | `epochs` | steps of the optimizer an epoch | `updateShards` | a step, s | of it the update | tokens/s | EUR a million tokens |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var (replicas, epochs, optimizerSteps, updateShards) in Settings)
        {
            var outcome = Simulation.Run(stages, Platform, new Plan
            {
                BatchSize = Batches[^1],
                Replicas = replicas,
                Epochs = epochs,
                OptimizerBatch = Batches[^1] / optimizerSteps,
                UpdateShards = updateShards,
            });
            text.AppendLine(Invariant($"| {replicas:N0} | {epochs} | {optimizerSteps} | {updateShards} | {Number(outcome.Seconds / outcome.Plan.Steps)} | {outcome.UpdateSeconds / outcome.Seconds:P0} | {Number(outcome.TokensPerSecond)} | {Number(outcome.PricePerMillion(RoundPrice))} |"));
        }

        return text.ToString();
    }

    private static string Cold(StageTimes stages)
    {
        var text = new StringBuilder("| replicas | first activity, s | last replica up, s | four steps, s | the same warm, s | EUR a million tokens | the same warm |\n|---|---|---|---|---|---|---|\n");
        foreach (int replicas in ColdReplicas)
        {
            var plan = new Plan { BatchSize = 4096, Replicas = replicas, UpdateShards = Math.Min(16, replicas) };
            var (warm, cold) = (Simulation.Run(stages, Platform, plan), Simulation.Run(stages, Platform, plan with { IsCold = true }));
            text.AppendLine(Invariant($"| {replicas:N0} | {cold.FirstActivitySeconds:F0} | {cold.LastReplicaSeconds:F0} | {Number(cold.Seconds)} | {Number(warm.Seconds)} | {Number(cold.PricePerMillion(RoundPrice))} | {Number(warm.PricePerMillion(RoundPrice))} |"));
        }

        return text.ToString();
    }

    internal static Outcome Simulate(StageTimes stages, int batch, int replicas, int updateShards)
    {
        return Simulation.Run(stages, Platform, new Plan { BatchSize = batch, Replicas = replicas, UpdateShards = updateShards });
    }

    /// <summary>With the number of update shards that is fastest.</summary>
    internal static Outcome Best(StageTimes stages, int batch, int replicas)
    {
        return UpdateShards.Where(shards => shards <= replicas).Select(shards => Simulate(stages, batch, replicas, shards)).MaxBy(outcome => outcome.TokensPerSecond)!;
    }
}
