using RlhfFunctions.Contracts;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Shows a run's progress until it ends: a live bar on a terminal, a plain line per step elsewhere.</summary>
internal sealed class RunDisplay(RunClient client, IAnsiConsole console)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);

    /// <returns>The run's last view: completed, failed or terminated.</returns>
    public Task<RunView> FollowAsync(string runId, CancellationToken cancellation)
    {
        return console.Profile.Capabilities.Interactive && console.Profile.Out.IsTerminal
            ? FollowLiveAsync(runId, cancellation)
            : FollowPlainAsync(runId, cancellation);
    }

    private Task<RunView> FollowLiveAsync(string runId, CancellationToken cancellation)
    {
        return console.Progress()
            .Columns(new SpinnerColumn(), new ProgressBarColumn { Width = 24 }, new PercentageColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
            .StartAsync(async live =>
            {
                var task = live.AddTask("starting");
                return await PollAsync(
                    runId,
                    (progress, label) =>
                    {
                        task.MaxValue = progress.Steps;
                        task.Value = progress.Step;
                        task.Description = Markup.Escape(Describe(progress, label));
                    },
                    cancellation);
            });
    }

    private Task<RunView> FollowPlainAsync(string runId, CancellationToken cancellation)
    {
        string last = "";
        return PollAsync(
            runId,
            (progress, label) =>
            {
                string line = Describe(progress, label);
                if (line == last) return;
                console.Profile.Out.Writer.WriteLine(line);
                last = line;
            },
            cancellation);
    }

    private async Task<RunView> PollAsync(string runId, Action<RunProgress, string> show, CancellationToken cancellation)
    {
        bool isNothingSaid = true;
        while (true)
        {
            var view = await client.GetAsync(runId, cancellation);
            if (view.Progress is { } progress) show(progress, view.Request.Evaluation.Label);
            if (isNothingSaid && view.Progress?.NothingToUnlearn is { } nothing)
            {
                console.MarkupLineInterpolated($"[yellow]{nothing}[/]");
                isNothingSaid = false;
            }

            if (view.Status is "Completed" or "Failed" or "Terminated") return view;
            await Task.Delay(PollInterval, cancellation);
        }
    }

    private static string Describe(RunProgress progress, string label)
    {
        if (progress.Phase == RunPhase.Preparing) return "preparing models and dialogues";
        if (progress.Phase == RunPhase.Publishing) return "publishing the adapter";
        if (progress.Phase == RunPhase.Finished) return "finished";
        if (progress is { Phase: RunPhase.Measuring, Step: 0 }) return "measuring the policy before";
        if (progress.Phase == RunPhase.Measuring)
            return "measuring the policy after" + (progress.LastStep switch { { Alarm: not null } => " an alarm", { Hack: not null } => " what exploited the reward", { Limit: not null } => " the step that reached a limit", _ => "" });
        if (progress.LastStep is not { } step)
            return $"step 0 of {progress.Steps}{(progress.LabelBefore is { } before ? $" · {label} on held-out dialogues {before:F3}" : "")}";
        string timeLeft = progress.SecondsLeft is { } seconds ? $" · {TimeSpan.FromSeconds(seconds):m\\:ss} left" : "";
        string judged = step.LabelProbability is { } probability ? $" · {label} {probability:F3}" : "";
        return $"step {progress.Step} of {progress.Steps} · reward {step.Reward:F2}{(step.Kl is { } kl ? $" · KL {kl:F2}" : "")}{judged}"
            + $"{(step.TokensPerSecond is { } pace ? $" · {pace:N0} tokens/s" : "")}{timeLeft}";
    }
}
