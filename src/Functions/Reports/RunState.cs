using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>How a run fares, in words.</summary>
internal static class RunState
{
    /// <summary>Whether a run goes on by itself, so that it pays to look again.</summary>
    public static bool IsUnderWay(string status)
    {
        return status is "NotStarted" or "Pending" or "Running" or "Suspended";
    }

    public static Html Badge(string status)
    {
        string word = status switch
        {
            "NotStarted" => "not started",
            "Pending" => "waiting",
            _ => status.ToLowerInvariant(),
        };
        return $"""<span class="state {status.ToLowerInvariant()}">{word}</span>""";
    }

    /// <summary>What it does, in a sentence.</summary>
    public static string Describe(RunView run)
    {
        if (run.Status == "Suspended") return "It is suspended, and goes on when it is resumed.";
        if (run.Status == "Failed") return "It failed.";
        if (run.Status == "Terminated") return "It was cancelled.";
        return run.Progress switch
        {
            null => "It waits to be taken up.",
            { Phase: RunPhase.Preparing } => "Models and dialogues are being prepared.",
            { Phase: RunPhase.Measuring, Step: 0 } => "The policy is measured on the held-out dialogues as it is before it learns.",
            { Phase: RunPhase.Measuring } => "The policy is measured on the held-out dialogues again.",
            { Phase: RunPhase.Learning } progress => $"It learns: step {progress.Step} of {progress.Steps} is done{Left(progress.SecondsLeft)}.",
            { Phase: RunPhase.Publishing } => "The adapter is being published.",
            _ => "It is finished.",
        };
    }

    private static string Left(double? seconds)
    {
        return seconds switch
        {
            null => "",
            < 90 => $", about {seconds:F0} s are left",
            < 5400 => $", about {seconds / 60:F0} min are left",
            _ => $", about {seconds / 3600:F1} h are left",
        };
    }
}
