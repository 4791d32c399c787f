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
        ["history"] = () => HistoryPage.Render("failed", History, Links),
        ["votes"] = () => StatisticsPage.Render("garden", Votes, Links),
        ["reward model"] = () => RewardPage.Render(TrainedReward, new RewardOutcome("taste", "models/taste", "better", Quality), Links),
        ["weak reward models"] = () => RewardPage.Render(TrainedReward, Ensemble, Links),
    };

    private static HistoryStep[] History =>
    [
        new(new(HistoryKind.Votes, "garden"), Start, [], "184 votes, 150 of them for one side."),
        new(new(HistoryKind.RewardModel, "taste"), Start.AddHours(1), [new(HistoryKind.Votes, "garden")], "It orders 90 % (84 – 96) of held-out votes as people did."),
        new(new(HistoryKind.Run, "failed"), Start.AddHours(2), [new(HistoryKind.RewardModel, "taste"), new(HistoryKind.Votes, "garden")], "Not finished. <b>Not yet.</b>"),
    ];

    private static VoteStatistics Votes => new()
    {
        Votes = 184,
        Decided = 150,
        Agreement = 0.62,
        Annotators =
        [
            new() { Annotator = "ann", Votes = 120, GoldAccuracy = 0.9, GoldVotes = 10, Consistency = 0.8, Repeats = 10, FirstShare = 0.52, LongerShare = 0.4, MedianSeconds = 6.5 },
            new() { Annotator = "someone-4f2a91", Votes = 64, GoldVotes = 0, Repeats = 0, MedianSeconds = 3 },
        ],
        Policies = [new("finished-with-half-the-rate", 0.8, 0.5, 1.1), new("base", -0.8, -1.1, -0.5)],
        WinRates = [new("base", "finished-with-half-the-rate", 0.2, 0.1, 0.3, 150, 34), new("finished-with-half-the-rate", "base", 0.8, 0.7, 0.9, 150, 34)],
    };

    private static RewardRequest TrainedReward => new() { RewardId = "taste", CampaignId = "garden", Base = "file:samples/models/llama" };

    private static RewardReport Quality => new()
    {
        Comparisons = 180,
        Decided = 150,
        Accuracy = new MetricSummary(0.9, 0.3, 0.84, 0.96, 150),
        ShorterAccuracy = new MetricSummary(0.5, 0.5, 0.4, 0.6, 150),
        LeadOverShorter = new MetricSummary(0.4, 0.6, 0.3, 0.5, 150),
        Brier = 0.08,
        CalibrationError = 0.04,
        Reliability = [new(0.55, 0.5, 4), new(0.75, 0.8, 20), new(0.97, 0.98, 126)],
        LengthCorrelation = -0.12,
        GoldAccuracy = new MetricSummary(0.5, 0.5, 0.3, 0.7, 18),
    };

    private static RewardOutcome Ensemble
    {
        get
        {
            var weak = Quality with { Refusal = "its held-out accuracy of 55 % (45 % to 65 %) is no better than chance" };
            RewardOutcome[] members = [new("taste", "models/taste", "better", weak), new("taste", "models/taste.1", "better", Quality)];
            return members[0] with { Ensemble = new RewardEnsemble(Quality, members) };
        }
    }

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
