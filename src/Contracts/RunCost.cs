namespace RlhfFunctions.Contracts;

/// <summary>
/// What a run has used: seconds of all its activities added up, also of those side by side (where <see cref="RunTimings"/> has the
/// slowest), and of those that were done again. On the gpu app, where an activity has the GPU to itself, these are GPU seconds; a
/// replica that waits for work is not in them.
/// </summary>
public sealed record RunUsage
{
    /// <summary>By the clock: what prepares does not tell its own.</summary>
    public double PrepareSeconds { get; init; }

    public double RolloutSeconds { get; init; }

    public double UpdateSeconds { get; init; }

    public double EvaluateSeconds { get; init; }

    /// <summary>Tokens generated for learning.</summary>
    public long ResponseTokens { get; init; }
}

/// <summary>What a run costs.</summary>
/// <param name="Seconds">Of a GPU, or of a CPU replica, by <see cref="ComputeSettings.Device"/>.</param>
/// <param name="ResponseTokens">Tokens generated for learning.</param>
/// <param name="Money">Those seconds at the app's price; null where it has none.</param>
/// <param name="Currency">Of the money.</param>
public sealed record RunCost(double Seconds, long ResponseTokens, double? Money, string? Currency);

/// <summary>A run that has finished, as a measure for those to come.</summary>
public sealed record FinishedRun(RunRequest Request, int Steps, RunUsage Usage);

/// <summary>What a run costs: before it starts, by another that has finished; while it runs; and in the end.</summary>
public static class CostEstimate
{
    /// <summary>What has been used costs so much.</summary>
    public static RunCost Of(RunUsage usage, Price? price)
    {
        double seconds = usage.PrepareSeconds + usage.RolloutSeconds + usage.UpdateSeconds + usage.EvaluateSeconds;
        return new RunCost(seconds, usage.ResponseTokens, price?.PerHour * seconds / 3600, price?.Currency);
    }

    /// <summary>While it runs: what it will have cost, if its other steps are like those done, and the measurement after like that before.</summary>
    /// <param name="usage">Used so far, the measurement before included, that after not.</param>
    /// <param name="step">Steps done, at least one.</param>
    /// <param name="steps">Steps to do in all.</param>
    /// <param name="price">The app's price.</param>
    public static RunCost AtEnd(RunUsage usage, int step, int steps, Price? price)
    {
        double all = (double)steps / step;
        return Of(
            usage with
            {
                RolloutSeconds = usage.RolloutSeconds * all,
                UpdateSeconds = usage.UpdateSeconds * all,
                EvaluateSeconds = usage.EvaluateSeconds * 2,
                ResponseTokens = (long)Math.Round(usage.ResponseTokens * all),
            },
            price);
    }

    /// <summary>
    /// Before it starts, by a run on the same model and device: as many seconds for a token, for a sample in an epoch and for a
    /// held-out response, and responses of the same mean length, as far as they may be that long.
    /// </summary>
    public static RunCost Before(RunRequest request, FinishedRun like, Price? price)
    {
        return Of(UsageBefore(request, like), price);
    }

    /// <summary>The usage behind <see cref="Before"/>.</summary>
    public static RunUsage UsageBefore(RunRequest request, FinishedRun like)
    {
        var (usage, other) = (like.Usage, like.Request);
        double responses = (double)request.Training.Steps * request.Training.BatchSize;
        double responsesThere = (double)like.Steps * other.Training.BatchSize;
        double tokens = responses * Math.Min(usage.ResponseTokens / responsesThere, request.Generation.MaxNewTokens);
        double evaluated = (double)request.Data.TestRows * request.Evaluation.SamplesPerDialogue;
        double evaluatedThere = (double)other.Data.TestRows * other.Evaluation.SamplesPerDialogue;
        return new RunUsage
        {
            PrepareSeconds = usage.PrepareSeconds,
            RolloutSeconds = usage.RolloutSeconds * tokens / Math.Max(usage.ResponseTokens, 1),
            UpdateSeconds = usage.UpdateSeconds * (responses * request.Training.Epochs) / (responsesThere * other.Training.Epochs),
            EvaluateSeconds = usage.EvaluateSeconds * evaluated / evaluatedThere,
            ResponseTokens = (long)Math.Round(tokens),
        };
    }

    /// <summary>Before it starts, with no other run to go by: the most tokens it can generate for learning.</summary>
    public static long MostTokens(RunRequest request)
    {
        return (long)request.Training.Steps * request.Training.BatchSize * request.Generation.MaxNewTokens;
    }
}
