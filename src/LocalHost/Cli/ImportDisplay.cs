using RlhfFunctions.Compute;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Shows an import's progress: a live bar for each file on a terminal, a plain line for each elsewhere.</summary>
internal sealed class ImportDisplay(IAnsiConsole console)
{
    /// <summary>Shows the progress of some work while it lasts.</summary>
    public Task<string> ShowAsync(Func<IProgress<ImportProgress>, Task<string>> work)
    {
        return console.Profile.Capabilities.Interactive && console.Profile.Out.IsTerminal
            ? console.Progress()
                .Columns(
                    new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 }, new DownloadedColumn(),
                    new TransferSpeedColumn(), new RemainingTimeColumn())
                .StartAsync(live => work(new Bars(live)))
            : work(new Lines(console));
    }

    private sealed class Bars(ProgressContext live) : IProgress<ImportProgress>
    {
        private readonly Dictionary<string, ProgressTask> _tasks = [];

        public void Report(ImportProgress value)
        {
            if (!_tasks.TryGetValue(value.Item, out var task)) _tasks[value.Item] = task = live.AddTask(Markup.Escape(value.Item));
            task.MaxValue = Math.Max(value.Total ?? value.Done, 1);
            task.Value = value.Total == 0 ? 1 : value.Done;
        }
    }

    private sealed class Lines(IAnsiConsole console) : IProgress<ImportProgress>
    {
        private readonly HashSet<string> _shown = [];

        public void Report(ImportProgress value)
        {
            if (value.Done == value.Total && _shown.Add(value.Item)) console.Profile.Out.Writer.WriteLine($"{value.Item}: {value.Done:N0} bytes");
        }
    }
}
