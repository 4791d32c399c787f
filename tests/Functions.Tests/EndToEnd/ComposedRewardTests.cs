using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>Runs whose reward is made of several terms, of none that is a classifier, nor is there one to judge them, and of one that is exploited.</summary>
public sealed class ComposedRewardTests(RunningApp running) : IClassFixture<RunningApp>
{
    private const int Steps = 2;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly ClassifierTerm Reward = new() { Source = "file:samples/models/reward" };

    /// <summary>Limits so tight that any rise of the reward is suspicious.</summary>
    private static readonly WatchSettings Suspicious = new()
    {
        EverySteps = 1,
        Patience = 1,
        MinJudgedGain = 1,
        MaxJudgedLoss = 0,
        MinLengthControlledGain = 1,
        MinDistinctShare = 1,
        MaxPerplexityRise = 1,
    };

    [Fact]
    public async Task Every_term_is_weighed_and_reported()
    {
        var request = TinyRun.Request("composed", Steps);
        request = request with
        {
            Reward = new RewardSettings
            {
                Terms =
                [
                    Reward with { Value = ClassifierValue.Difference, Weight = 0.5 },
                    Reward with { Name = "in-context", Text = ClassifierText.QueryAndResponse, Weight = 0.25 },
                    new ClassifierTerm { Name = "second-opinion", Source = "file:samples/models/judge", Value = ClassifierValue.Probability, Weight = 0 },
                    new WordsTerm { Words = ["Person1", "the"] },
                    new LengthTerm { MinWords = 8, MaxWords = 9, Weight = -2 },
                    new RepetitionTerm { NGram = 1 },
                    new RegexTerm { Pattern = "[Pp]erson" },
                    new RougeTerm { Weight = 2 },
                    new EnsembleTerm { Members = [Reward, Reward with { Source = "file:samples/models/judge" }], Combine = EnsembleValue.Minimum, Weight = 0.1 },
                ],
            },
            Ppo = request.Ppo! with { MissingEosPenalty = 3 },
        };
        var view = await RunAsync(request);

        Assert.InRange(view.Progress!.LastStep!.LabelProbability!.Value, 0, 1);
        foreach (var step in await MetricsAsync(request.RunId!))
        {
            double sum = request.Reward!.Terms.Sum(term => term.Weight * step[MetricNames.RewardTerm(term.Name)]);
            Assert.Equal(sum, step[MetricNames.RewardMean], 1e-4);
            Assert.Equal(step[MetricNames.RewardMean] - (3 * (1 - step[MetricNames.EndedShare])), step[MetricNames.ScoreMean], 1e-4);
            Assert.InRange(step[MetricNames.EndedShare], 0, 0.99); // some are cut off after 16 tokens
            Assert.NotEqual(step[MetricNames.RewardTerm("classifier")], step[MetricNames.RewardTerm("in-context")]);
            Assert.All(["words", "repetition", "second-opinion", "regex", "rouge"], name => Assert.InRange(step[MetricNames.RewardTerm(name)], 0.01, 0.99));
            Assert.InRange(step[MetricNames.RewardTerm("length")], 0.001, 2);

            // The watch's figures, by the judge and the ensemble too.
            Assert.InRange(step[MetricNames.WatchedUndesired], 0.001, 0.999);
            Assert.InRange(step[MetricNames.WatchedDistinct], 0.1, 1);
            Assert.InRange(step[MetricNames.WatchedPerplexity], 1, 100);
            Assert.InRange(step[MetricNames.WatchedDisagreement], 0.001, 100);
        }
    }

    [Fact]
    public async Task A_run_can_do_without_any_classifier()
    {
        var request = TinyRun.Request("wordless", Steps) with
        {
            Reward = new RewardSettings { Terms = [new WordsTerm { Words = ["stupid", "idiot", "jerk"] }, new LengthTerm { MaxWords = 30 }] },
            Evaluation = new EvaluationSettings { MinRougeShare = 0 },
        };
        var view = await RunAsync(request);

        Assert.Null(view.Progress!.LastStep!.LabelProbability);
        Assert.All(await MetricsAsync(request.RunId!), step => Assert.DoesNotContain(MetricNames.LabelProbability, step.Keys));
        Assert.All(await MetricsAsync(request.RunId!), step => Assert.DoesNotContain(step.Keys, name => name is MetricNames.WatchedUndesired or MetricNames.WatchedDisagreement));
        string report = Encoding.UTF8.GetString(await running.App.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Report)));
        Assert.DoesNotContain("by the reward model", report, StringComparison.Ordinal); // no chart of what was not measured
        Assert.Contains("mean score", report, StringComparison.Ordinal);

        Assert.True(view.Outcome!.Published); // ROUGE-L alone decides, and may be any here
        Assert.Equal((null, null), (view.Outcome.LabelBefore, view.Outcome.LabelAfter));
        Assert.Null(view.Progress.LabelBefore);
        Assert.Contains("No judge measured a label", report, StringComparison.Ordinal);
        using var evaluation = JsonDocument.Parse(await running.App.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Evaluation)));
        Assert.Equal(
            ["rougeL", "responseTokens", "distinctResponses", "distinctBigrams", "endedByEos"],
            evaluation.RootElement.GetProperty("before").EnumerateObject().Select(field => field.Name));
    }

    [Fact]
    public async Task A_run_whose_reward_is_exploited_publishes_its_best_checkpoint()
    {
        var request = TinyRun.Request("exploited", steps: 12) with { Watch = Suspicious };
        var view = await RunAsync(request);

        Assert.Contains("the reward is being exploited", view.Outcome!.Hack, StringComparison.Ordinal);
        Assert.Null(view.Outcome.Alarm);
        Assert.InRange(view.Outcome.Steps, 3, 11);
        int chosen = view.Outcome.Chosen!.Value;
        Assert.InRange(chosen, 0, view.Outcome.Steps - 1);
        using var manifest = JsonDocument.Parse(await running.App.ReadBlobAsync($"{BlobPaths.Checkpoint(request.RunId!, chosen)}/manifest.json"));
        byte[] adapter = await running.App.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.AdapterWeights));
        Assert.Contains(Convert.ToHexString(SHA256.HashData(adapter)), manifest.RootElement.GetRawText(), StringComparison.OrdinalIgnoreCase);
        using var evaluation = JsonDocument.Parse(await running.App.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Evaluation)));
        Assert.Equal((view.Outcome.Hack, chosen), (evaluation.RootElement.GetProperty("hack").GetString(), evaluation.RootElement.GetProperty("chosen").GetInt32()));
        var events = (await running.App.Http.GetFromJsonAsync<RunEvent[]>($"/api/runs/{request.RunId}/events", ContractsJson.Options))!;
        Assert.Equal(view.Outcome.Hack, events.Single(one => one.Kind == RunEventKind.Finished).Reason);
    }

    private async Task<RunView> RunAsync(RunRequest request)
    {
        using (var accepted = await running.App.PostRunAsync(request))
            Assert.True(accepted.StatusCode == HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync());
        return await running.App.WaitAsync(request.RunId!, view => view.Status == "Completed", Patience);
    }

    private async Task<IReadOnlyList<Dictionary<string, double>>> MetricsAsync(string runId)
    {
        byte[] lines = await running.App.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.Metrics));
        var steps = Encoding.UTF8.GetString(lines).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonSerializer.Deserialize<Dictionary<string, double>>(line)!).ToArray();
        Assert.Equal(Steps, steps.Length);
        return steps;
    }
}
