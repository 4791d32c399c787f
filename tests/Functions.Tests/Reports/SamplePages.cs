using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>Every page there is, of runs that never were.</summary>
internal static class SamplePages
{
    public static readonly PageLinks Links = new("k/e+y==");

    private static readonly DateTimeOffset Start = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    public static IReadOnlyDictionary<string, Func<byte[]>> All { get; } = new Dictionary<string, Func<byte[]>>
    {
        ["report"] = () => SampleReport.Page(SampleReport.Report with { NothingToUnlearn = "Hardly anything to unlearn." }),
        ["finished"] = () => ReportPage.Render(SampleReport.Report, SampleReport.Metrics(40), TinyRun.Request("sample"), published: false, Links),
        ["list"] = () => RunsPage.Render([.. Runs().Select(run => new RunListItem(run.View.RunId, run.View.Status, run.View.CreatedAt!.Value, run.View.Progress))], Links),
        ["empty list"] = () => RunsPage.Render([], Links),
        ["live"] = () => Live(Runs()[0]),
        ["waiting"] = () => Live(Runs()[3]),
        ["failed"] = () => Live(Runs()[2]),
        ["comparison"] = () => ComparePage.Render(Runs(), Links),
        ["comparison of none"] = () => ComparePage.Render([], Links),
    };

    /// <summary>One that learns, a finished one, one that failed, one that waits.</summary>
    public static IReadOnlyList<(RunView View, RunSteps Steps)> Runs()
    {
        return
        [
            Run("a-run-that-learns", "Running", 24, 1),
            Run("finished-with-half-the-rate", "Completed", 40, 2, request => request with { Ppo = request.Ppo! with { LearningRate = 1e-3 } }, outcome: true),
            Run("failed", "Failed", 7, 3, request => request with { Seed = 6 }, "data.train: file:no/such.csv is not there. <b>Upload</b> it first."),
            Run("waiting", "Pending", 0, 4),
        ];
    }

    public static byte[] Live((RunView View, RunSteps Steps) run)
    {
        return LivePage.Render(run.View, run.Steps, Links);
    }

    public static (RunView View, RunSteps Steps) Run(
        string id, string status, int done, int number, Func<RunRequest, RunRequest>? change = null, string? failure = null, bool outcome = false)
    {
        var request = (change ?? (same => same))(TinyRun.Request(id, steps: 40));
        var metrics = SampleReport.Metrics(done, number);
        var last = metrics.LastOrDefault();
        return (
            new RunView
            {
                RunId = id,
                Status = status,
                CreatedAt = Start.AddHours(-number),
                Failure = failure,
                Request = request,
                Progress = status == "Pending" ? null : new RunProgress
                {
                    Phase = status == "Completed" ? RunPhase.Finished : RunPhase.Learning,
                    Step = done,
                    Steps = 40,
                    LabelBefore = 0.56,
                    SecondsLeft = 2.5 * (40 - done),
                    LastStep = last is null ? null : new StepReport(done - 1, Number(last, MetricNames.RewardMean), Number(last, MetricNames.Kl), 0.2, 0.31, 18.4, 1234),
                },
                Outcome = outcome ? new RunOutcome(id, 0.56, 0.07, true, new PreparedRun("b", ["r"], "j", "d"), done) : null,
            },
            new RunSteps(id, request, metrics));
    }

    private static double Number(JsonObject step, string metric)
    {
        return step[metric]!.GetValue<double>();
    }
}
