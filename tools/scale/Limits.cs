using static System.FormattableString;

namespace RlhfFunctions.Scale;

/// <summary>A limit of the platform, and what a plan asks of it.</summary>
/// <param name="What">What is limited.</param>
/// <param name="Asked">By the plan.</param>
/// <param name="Allowed">By the platform.</param>
/// <param name="Source">Who says so.</param>
public sealed record Limit(string What, string Asked, string Allowed, string Source);

/// <summary>Limits of storage and of Durable Functions, with their sources.</summary>
public static class Limits
{
    private const string Learn = "https://learn.microsoft.com/azure/";
    private const string Storage = $"[storage account]({Learn}storage/common/scalability-targets-standard-account)";
    private const string Queues = $"[queues]({Learn}storage/queues/scalability-targets)";
    private const string Tables = $"[tables]({Learn}storage/tables/scalability-targets)";
    private const string Blobs = $"[blobs]({Learn}storage/blobs/scalability-targets)";
    private const string Durable = $"[Durable Functions]({Learn}azure-functions/durable/durable-functions-perf-and-scale#performance-targets)";
    private const string Apps = $"[Container Apps]({Learn}container-apps/scale-app)";

    public static IEnumerable<Limit> Of(StageTimes stages, Platform platform, Plan plan)
    {
        int activities = plan.Shards + (plan.UpdateShards == 1 ? 1 : (plan.OptimizerSteps * (plan.UpdateShards + 1)) + 1);
        double line = stages.ReplicaBytesPerSecond;
        double loading = Math.Max(stages.ModelBytes / line, stages.ModelBytes * plan.Replicas / platform.EgressBytesPerSecond);
        yield return new("replicas", Invariant($"{plan.Replicas:N0}"), "1,000", Apps);
        yield return new("activities sent off by one orchestration", Invariant($"{plan.Shards:N0} rollouts: {plan.Shards / platform.FanOutPerSecond:F1} s"), Invariant($"{platform.FanOutPerSecond} a second"), Durable);
        yield return new("answers taken by one orchestration", Invariant($"{plan.Shards:N0} rollouts: {plan.Shards / platform.FanInPerSecond:F1} s"), Invariant($"{platform.FanInPerSecond} a second"), Durable);
        yield return new("messages of the work-item queue", Invariant($"{platform.FanOutPerSecond} a second at most, by the line above"), "2,000 a second", Queues);
        yield return new("rows of one orchestration's history", Invariant($"{2 * activities:N0} a step; {platform.FanOutPerSecond + platform.FanInPerSecond} a second at most"), "2,000 a second in a partition", Tables);
        yield return new("into the account", Invariant($"{plan.Replicas * line * 8 / 1e9:F0} Gbit/s if all replicas upload at once"), Invariant($"{platform.IngressBytesPerSecond * 8 / 1e9:F0} Gbit/s"), Storage);
        yield return new("out of the account", Invariant($"{Number(plan.Replicas * stages.ModelBytes / 1e9)} GB when all replicas load the model: {loading:F0} s"), Invariant($"{platform.EgressBytesPerSecond * 8 / 1e9:F0} Gbit/s"), Storage);
        yield return new("rollouts that the update reads", Invariant($"{Number(plan.BatchSize * stages.RolloutBytesPerSample / 1e6)} MB a step"), "190.7 TiB a blob; before that the replica's memory", Blobs);
        if (plan.UpdateShards > 1)
            yield return new("gradients that are added up", Invariant($"{Number(plan.UpdateShards * stages.GradientBytes / 1e6)} MB a step of the optimizer: {plan.UpdateShards * stages.GradientBytes / line:F1} s"), "one replica's line", "stages");
    }

    /// <summary>Three digits that count.</summary>
    public static string Number(double value)
    {
        if (value == 0) return "0";
        int decimals = Math.Max(0, 2 - (int)Math.Floor(Math.Log10(Math.Abs(value))));
        return value.ToString($"N{Math.Min(decimals, 9)}", System.Globalization.CultureInfo.InvariantCulture);
    }
}
