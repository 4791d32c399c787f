using System.Diagnostics;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What the feedback command was asked for.</summary>
/// <param name="Run">Host, request, output folder and seed, as of the demo.</param>
/// <param name="Simulate">The oracle votes.</param>
/// <param name="VotesFile">Recorded votes to replay; null: none.</param>
/// <param name="Budget">Votes at most.</param>
/// <param name="Errors">Share of the oracle's votes that are wrong.</param>
/// <param name="Name">With the seed, names campaigns, reward model and run.</param>
internal sealed record FeedbackOptions(DemoOptions Run, bool Simulate, string? VotesFile, int Budget, double Errors, string Name);

/// <summary>feedback.json.</summary>
internal sealed record FeedbackReport
{
    public required int Votes { get; init; }

    /// <summary>Krippendorff's α: between annotators, or of a single one with himself when he saw a pair again; null: not known.</summary>
    public double? Agreement { get; init; }

    public required Estimate RewardAccuracy { get; init; }

    /// <summary>Share of the judged pairs with a winner that the new policy won; the interval is by dialogue.</summary>
    public required JudgedWins WinRate { get; init; }

    public required IReadOnlyDictionary<string, double> SecondsByStage { get; init; }

    public required string RunId { get; init; }
}

internal sealed record Estimate(double Mean, double Low, double High);

internal sealed record JudgedWins(double Mean, double Low, double High, int Count, int Ties);

/// <summary>From votes to a better model, in one command and over the app's own HTTP API: votes, reward model, learning, judgement.</summary>
internal sealed class FeedbackCommand(HostSession host, RunClient client, FeedbackOptions options, RunRequest request, IAnsiConsole console)
{
    private const string VotesFile = "votes.jsonl", JudgementsFile = "judgements.jsonl", ReportFile = "feedback.json";

    /// <summary>A reward model's score in a run: so many deviations of its own count as much as a classifier's logit usually varies.</summary>
    private const double RewardScale = 2;

    /// <summary>Of so few votes a single pass does not make enough steps.</summary>
    private static readonly RewardTrainingSettings FewVotes = new() { Epochs = 3, BatchSize = 4, LearningRate = 1e-2 };

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(300);

    private readonly Dictionary<string, double> _seconds = [];
    private readonly string _prefix = $"{options.Name}-{request.Seed}";
    private readonly string _folder = Path.GetFullPath(options.Run.OutputFolder ?? Path.Combine(options.Run.Host.DataFolder, "feedback", $"{options.Name}-{request.Seed}"));

    public static async Task RunAsync(FeedbackOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        if (options.Simulate && options.VotesFile is not null)
            throw new UserErrorException("--simulate lets the oracle vote and --votes replays a file: choose one of them.");
        var request = await DemoRun.ReadRequestAsync(options.Run, cancellation);
        await using var host = await HostSession.StartAsync(options.Run.Host, console.WriteLine, cancellation);
        using var client = new RunClient(host.Address);
        await new FeedbackCommand(host, client, options, request, console).RunAsync(cancellation);
    }

    private async Task RunAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(_folder);
        var campaign = await Timed("pairs", () => OpenAsync(Campaign("votes", request.Data.Train!, []), cancellation));
        var statistics = await Timed("votes", () => VoteAsync(campaign, VotesFile, options.Errors, cancellation));
        console.WriteLine($"{statistics.Votes} votes to learn from, {statistics.Decided} of them for one side.");

        var reward = await Timed("reward", () => TrainRewardAsync(campaign.CampaignId!, cancellation));
        console.WriteLine($"The reward model orders {Percent(reward.Report.Accuracy)} of held-out votes rightly; the shorter one would be right in {Percent(reward.Report.ShorterAccuracy)}.");
        if (reward.Report.Refusal is { } why) throw new UserErrorException($"The reward model should not steer a run: {why}. Collect more votes.");

        var run = await Timed("run", () => LearnAsync(reward, cancellation));
        var judging = await Timed("judgingPairs", () => OpenAsync(Campaign("judgements", request.Data.Test, [run.Report.RunId]), cancellation));
        var judged = await Timed("judging", () => VoteAsync(judging, JudgementsFile, errors: 0, cancellation));
        await ReportAsync(statistics, reward, run, judged, cancellation);
    }

    private CampaignRequest Campaign(string what, string dialogues, IReadOnlyList<string> runs)
    {
        bool isToLearn = runs.Count == 0;
        int repeats = isToLearn ? options.Budget / 11 : 0; // one repeat for every ten pairs
        return new CampaignRequest
        {
            CampaignId = $"{_prefix}-{what}",
            Seed = request.Seed,
            Model = request.Model,
            Runs = runs,
            Dialogues = dialogues,
            Columns = request.Data.Columns,
            PromptTemplate = request.Data.PromptTemplate,
            MinCharacters = request.Data.MinCharacters,
            MaxCharacters = request.Data.MaxCharacters,
            Pairs = options.Budget - repeats,
            Overlap = 0,
            GoldShare = isToLearn ? 0.1 : 0,
            RepeatShare = isToLearn ? 0.1 : 0,
            Generation = request.Generation,
            Compute = request.Compute,
        };
    }

    private async Task<CampaignRequest> OpenAsync(CampaignRequest campaign, CancellationToken cancellation)
    {
        await client.PostAsync<JsonElement>("/api/campaigns", campaign, cancellation);
        while (true)
        {
            var view = await client.GetAsync<CampaignView>($"/api/campaigns/{campaign.CampaignId}", cancellation);
            if (view.Status == "Open") return campaign;
            if (view.Status is "Failed" or "Terminated") throw new UserErrorException($"The pairs could not be generated: {view.Failure}");
            await Task.Delay(PollInterval, cancellation);
        }
    }

    /// <summary>Has the campaign's pairs judged, by whom the command line says, and keeps the votes as a file.</summary>
    private async Task<VoteStatistics> VoteAsync(CampaignRequest campaign, string file, double errors, CancellationToken cancellation)
    {
        string address = $"/api/campaigns/{campaign.CampaignId}";
        if (options.VotesFile is { } recorded && file == VotesFile) await ReplayAsync(address, recorded, cancellation);
        else if (options.Simulate || options.VotesFile is not null) await new OracleVoter(client, campaign, errors).VoteAsync(options.Budget, cancellation);
        else await WaitForPeopleAsync(campaign, cancellation);
        await File.WriteAllTextAsync(Path.Combine(_folder, file), await client.GetTextAsync($"{address}/export?format=events", cancellation), cancellation);
        return await client.GetAsync<VoteStatistics>($"{address}/statistics", cancellation);
    }

    private async Task ReplayAsync(string address, string path, CancellationToken cancellation)
    {
        VoteEvent[] events;
        try
        {
            events = [.. (await File.ReadAllLinesAsync(path, cancellation)).Where(line => line.Length > 0)
                .Select(line => JsonSerializer.Deserialize<VoteEvent>(line, ContractsJson.Strict)!)];
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            throw new UserErrorException($"{path} cannot be replayed: {e.Message} It must be a votes.jsonl that this command wrote.", e);
        }

        foreach (var annotator in events.GroupBy(e => e.Annotator))
        {
            foreach (var part in annotator.Chunk(100))
                await client.PostAsync<JsonElement>($"{address}/votes", new VotesMessage { Annotator = annotator.Key, Votes = [.. part.Select(e => e.Vote)] }, cancellation);
        }

        var texts = (await ReadEventsAsync(address.Split('/')[^1], cancellation)).ToDictionary(e => (e.Annotator, e.Vote.Id), e => e.TextsSha256);
        if (events.Any(e => texts[(e.Annotator, e.Vote.Id)] != e.TextsSha256))
            throw new UserErrorException($"{path} was recorded for other pairs: use the seed, the budget and the models it was recorded with.");
    }

    private async Task WaitForPeopleAsync(CampaignRequest campaign, CancellationToken cancellation)
    {
        console.MarkupLine("[bold]Open this page and vote:[/]");
        console.Profile.Out.Writer.WriteLine($"  {host.Address}api/campaigns/{campaign.CampaignId}/page");
        console.WriteLine($"It goes on after {options.Budget} votes, or when you press Enter here. Ctrl-C stops it; the same command goes on.");
        var enough = Console.IsInputRedirected ? Task.Delay(Timeout.Infinite, cancellation) : Task.Run(Console.ReadLine, cancellation);
        while (!enough.IsCompleted)
        {
            var view = await client.GetAsync<CampaignView>($"/api/campaigns/{campaign.CampaignId}", cancellation);
            if (view.Votes >= options.Budget) return;
            await Task.WhenAny(enough, Task.Delay(TimeSpan.FromSeconds(2), cancellation));
            cancellation.ThrowIfCancellationRequested();
        }
    }

    private async Task<RewardOutcome> TrainRewardAsync(string campaignId, CancellationToken cancellation)
    {
        var training = new RewardRequest
        {
            RewardId = $"{_prefix}-reward",
            Seed = request.Seed,
            CampaignId = campaignId,
            Base = request.Model.Source,
            Training = FewVotes,
        };
        await client.PostAsync<JsonElement>("/api/rewards", training, cancellation);
        while (true)
        {
            var view = await client.GetAsync<RewardView>($"/api/rewards/{training.RewardId}", cancellation);
            if (view.Outcome is { } outcome)
            {
                await File.WriteAllTextAsync(Path.Combine(_folder, "reward.html"), await client.GetTextAsync($"/api/rewards/{training.RewardId}/report", cancellation), cancellation);
                await CopyModelAsync(outcome.Model, cancellation);
                return outcome;
            }

            if (view.Status is "Failed" or "Terminated") throw new UserErrorException($"The reward model could not be trained: {view.Failure}");
            await Task.Delay(PollInterval, cancellation);
        }
    }

    /// <summary>The run as requested, but for its reward: the votes' model alone, and the charge for what does not end.</summary>
    private async Task<FinishedRun> LearnAsync(RewardOutcome reward, CancellationToken cancellation)
    {
        var term = new ClassifierTerm
        {
            Source = Source.Blob + reward.Model,
            Label = reward.Label,
            Weight = Math.Round(RewardScale / reward.Report.ScoreDeviation, 6),
        };
        var run = new DemoRun(host, client, options.Run with { OutputFolder = _folder }, console);
        var wanted = request with { RunId = $"{_prefix}-run", Reward = new RewardSettings { Terms = [term] } };
        await run.StartAsync(wanted, cancellation);
        return await run.FollowAsync(wanted.RunId!, "run", cancellation);
    }

    private async Task ReportAsync(
        VoteStatistics statistics, RewardOutcome reward, FinishedRun run, VoteStatistics judged, CancellationToken cancellation)
    {
        var wins = judged.WinRates.FirstOrDefault(rate => rate.Policy == run.Report.RunId)
            ?? throw new UserErrorException("No judgement prefers either policy, so there is no win rate.");
        var report = new FeedbackReport
        {
            Votes = (await ReadEventsAsync($"{_prefix}-votes", cancellation)).Count(e => e.Vote.Undoes is null),
            Agreement = statistics.Agreement,
            RewardAccuracy = new Estimate(reward.Report.Accuracy.Mean, reward.Report.Accuracy.Low, reward.Report.Accuracy.High),
            WinRate = new JudgedWins(wins.Mean, wins.Low, wins.High, wins.Decided, wins.Ties),
            SecondsByStage = _seconds,
            RunId = run.Report.RunId,
        };
        await File.WriteAllTextAsync(Path.Combine(_folder, ReportFile), JsonSerializer.Serialize(report, ContractsJson.Indented) + "\n", cancellation);

        console.MarkupLineInterpolated($"[bold]The new policy wins {Percent(wins.Mean, wins.Low, wins.High)} of {wins.Decided} judged pairs with a winner[/] ({report.WinRate.Ties} ties beside).");
        console.WriteLine($"Seconds: {string.Join(", ", _seconds.Select(stage => $"{stage.Key} {stage.Value:F0}"))}; {_seconds.Values.Sum():F0} in all.");
        console.Profile.Out.Writer.WriteLine($"  {Path.Combine(_folder, ReportFile)}\n  {Path.Combine(_folder, "reward.html")}\n  {Path.Combine(run.Folder, RunFiles.Report)}");
    }

    private async Task<IReadOnlyList<VoteEvent>> ReadEventsAsync(string campaignId, CancellationToken cancellation)
    {
        string lines = await client.GetTextAsync($"/api/campaigns/{campaignId}/export?format=events", cancellation);
        return [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<VoteEvent>(line, ContractsJson.Options)!)];
    }

    private async Task CopyModelAsync(string path, CancellationToken cancellation)
    {
        await using var services = host.OpenServices();
        var artifacts = (RlhfFunctions.Storage.ArtifactStore)services.GetService(typeof(RlhfFunctions.Storage.ArtifactStore))!;
        string folder = Directory.CreateDirectory(Path.Combine(_folder, "reward")).FullName;
        foreach (var (name, bytes) in await artifacts.ReadFilesAsync(path, cancellation)) await File.WriteAllBytesAsync(Path.Combine(folder, name), bytes, cancellation);
    }

    private async Task<T> Timed<T>(string stage, Func<Task<T>> work)
    {
        var clock = Stopwatch.StartNew();
        var result = await work();
        _seconds[stage] = Math.Round(clock.Elapsed.TotalSeconds, 1);
        return result;
    }

    private static string Percent(MetricSummary share)
    {
        return Percent(share.Mean, share.Low, share.High);
    }

    private static string Percent(double mean, double low, double high)
    {
        return $"{100 * mean:F0} % ({100 * low:F0} – {100 * high:F0})";
    }
}
