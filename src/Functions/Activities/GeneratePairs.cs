using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Serving;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;
using static TorchSharp.torch;

namespace RlhfFunctions.Activities;

/// <summary>A part of a campaign's pairs: dialogues → responses by the policies → pairs, some of them with a known answer.</summary>
public sealed class GeneratePairs(
    CampaignRecords campaigns, ServedPolicies policies, TextWriting writing, SourceFiles sources, ModelFolders models, ComputeGate gate, ArtifactStore artifacts)
{
    /// <summary>Responses among which an uncertain pair is drawn.</summary>
    private const int Candidates = 4;

    [Function(FunctionNames.GeneratePairs)]
    public async Task<int> Run([ActivityTrigger] GeneratePairsInput input, CancellationToken cancellation)
    {
        var request = await campaigns.GetAsync(input.CampaignId, cancellation);
        return await artifacts.MakeOnceAsync(BlobPaths.Pairs(input.CampaignId, input.Shard), stop => GenerateAsync(input, request, stop), cancellation);
    }

    private async Task<NewArtifact<int>> GenerateAsync(GeneratePairsInput input, CampaignRequest campaign, CancellationToken cancellation)
    {
        var rows = await ReadAsync(campaign, cancellation);
        var order = Seeds.Permutation(Seeds.Derive((ulong)campaign.Seed, "campaign rows"), rows.Count);
        int first = input.Shard * GeneratePairsInput.ShardSize;
        int[] indices = [.. Enumerable.Range(first, Math.Min(GeneratePairsInput.ShardSize, campaign.Pairs - first))];
        DialogueRow RowOf(int index) => rows[order[index % rows.Count]];

        var gold = indices.Select(index => Gold(campaign, index, RowOf(index), rows)).OfType<CampaignPair>().ToDictionary(pair => pair.Index);
        int[] open = [.. indices.Where(index => !gold.ContainsKey(index))];
        bool IsUncertain(int index) => input.Reward is not null && Draw(campaign, "uncertain", index) < 0.5;
        using var turn = await gate.EnterAsync(campaign.Compute, campaign.Compute.RolloutThreads, cancellation);
        var written = await WriteAsync(campaign, input, [.. open.Select(index => RowOf(index).Dialogue)], cancellation);
        var scores = input.Reward is null ? null : await ScoreAsync(input.Reward, written, cancellation);

        var pairs = indices.Select(index =>
        {
            if (gold.TryGetValue(index, out var known)) return known;
            int place = Array.IndexOf(open, index);
            var (a, b, probability) = Choose(campaign, index, written.Length, IsUncertain(index) ? [.. scores!.Select(column => column[place])] : null);
            var row = RowOf(index);
            return new CampaignPair(
                index, row.Id, row.Dialogue, written[a].Texts[place], written[b].Texts[place], written[a].Policy, written[b].Policy, probability)
            {
                ModelA = written[a].Model,
                ModelB = written[b].Model,
            };
        }).ToArray();
        var files = new Dictionary<string, byte[]> { [CampaignRecords.PairsFile] = JsonSerializer.SerializeToUtf8Bytes(pairs, ContractsJson.Options) };
        return new NewArtifact<int>(files, pairs.Length);
    }

    /// <summary>
    /// Which two of a dialogue's responses are compared: of two policies always one each. Where scores are given, pairs are drawn in
    /// proportion to how unsure the reward is of them, p·(1 − p).
    /// </summary>
    private static (int A, int B, double Probability) Choose(CampaignRequest campaign, int index, int responses, double[]? scores)
    {
        (int A, int B)[] choices = [.. from a in Enumerable.Range(0, responses)
                                       from b in Enumerable.Range(a + 1, responses - a - 1)
                                       where campaign.Runs.Count == 0 || a % 2 != b % 2
                                       select (a, b)];
        double[] weights = [.. choices.Select(choice => scores is null ? 1 : Unsureness(scores[choice.A] - scores[choice.B]))];
        double at = Draw(campaign, "pair", index) * weights.Sum();
        int chosen = 0;
        while (chosen < choices.Length - 1 && (at -= weights[chosen]) >= 0) chosen++;
        return (choices[chosen].A, choices[chosen].B, weights[chosen] / weights.Sum());
    }

    private static double Unsureness(double lead)
    {
        double p = 1 / (1 + Math.Exp(-lead));
        return p * (1 - p);
    }

    /// <summary>Responses to all dialogues, one column for each candidate; those of two policies take turns.</summary>
    private async Task<Column[]> WriteAsync(
        CampaignRequest campaign, GeneratePairsInput input, string[] dialogues, CancellationToken cancellation)
    {
        var columns = new List<Column>();
        int count = dialogues.Length == 0 ? 0 : input.Reward is null ? 2 : Candidates;
        for (int column = 0; column < count; column++)
        {
            // One run: the base against it. Two: these two. None: the base against itself.
            string? run = campaign.Runs.Count switch { 0 => null, 1 => column % 2 == 0 ? null : campaign.Runs[0], _ => campaign.Runs[column % 2] };
            var policy = run is null
                ? new ServedPolicy(BaseRequest(campaign), input.BaseModel, Step: null)
                : await policies.OfRunAsync(run, cancellation) ?? throw new InvalidInputException($"Run {run} has not finished: it has no policy to compare.");
            long seed = (long)(Seeds.Derive((ulong)campaign.Seed, "campaign texts", input.Shard, column) >> 11);
            var texts = await writing.WriteAsync(policy, new GenerateRequest { Dialogues = dialogues, Seed = seed }, cancellation);
            columns.Add(new Column(run ?? "base", await ModelOfAsync(run, policy, cancellation), [.. texts.Select(text => text.Text)]));
        }

        return [.. columns];
    }

    /// <summary>Names the very weights: the base model's path has a part of its content's hash.</summary>
    private async Task<string> ModelOfAsync(string? run, ServedPolicy policy, CancellationToken cancellation)
    {
        if (run is null) return policy.BaseModel;
        var checkpoint = await artifacts.GetAsync<object>(BlobPaths.Checkpoint(run, policy.Step!.Value), cancellation);
        return $"{policy.BaseModel} {checkpoint.Files.Single(file => file.Name == TrainingState.AdapterFile).Sha256}";
    }

    private async Task<double[][]> ScoreAsync(string reward, Column[] written, CancellationToken cancellation)
    {
        using var classifier = TextClassifier.Load(await models.FetchAsync(reward, cancellation), CPU);
        if (classifier.LabelCount != 1) throw new InvalidInputException("uncertainBy names a classifier of several labels, where a reward model of one score is needed.");
        var scorer = new ClassifierReward(classifier, PreferenceModels.Label, PreferenceModels.Label);
        return [.. written.Select(column => scorer.Score([.. column.Texts.Select(PromptedResponse.Alone)], cancellation).Select(score => (double)score.Score).ToArray())];
    }

    /// <summary>A pair whose answer is known: the reference summary of this dialogue against that of another; null: this pair is no such.</summary>
    private static CampaignPair? Gold(CampaignRequest campaign, int index, DialogueRow row, IReadOnlyList<DialogueRow> rows)
    {
        if (row.Summary.Length == 0 || Draw(campaign, "gold", index) >= campaign.GoldShare) return null;
        var other = rows[(int)(Draw(campaign, "gold of", index) * rows.Count)];
        if (other.Summary.Length == 0 || other.Summary == row.Summary || other.Topic == row.Topic && row.Topic.Length > 0) return null;
        bool isFirst = Draw(campaign, "gold side", index) < 0.5;
        var (a, b) = isFirst ? (row.Summary, other.Summary) : (other.Summary, row.Summary);
        return new CampaignPair(index, row.Id, row.Dialogue, a, b, "reference", "reference", 1) { Gold = isFirst ? VoteChoice.A : VoteChoice.B };
    }

    /// <summary>A response to every dialogue, all by one policy.</summary>
    private sealed record Column(string Policy, string Model, string[] Texts);

    private static double Draw(CampaignRequest campaign, string what, int index)
    {
        return Seeds.Uniform(Seeds.Derive((ulong)campaign.Seed, $"campaign {what}", index), 0);
    }

    /// <summary>What a run of the base alone would ask for.</summary>
    private static RunRequest BaseRequest(CampaignRequest campaign)
    {
        return new RunRequest
        {
            Model = campaign.Model,
            Generation = campaign.Generation,
            Compute = campaign.Compute,
            Data = new DataSettings { Train = campaign.Dialogues, Test = campaign.Dialogues, PromptTemplate = campaign.PromptTemplate },
            Reward = new RewardSettings { Terms = [] },
            Evaluation = new EvaluationSettings { Judge = "" },
        };
    }

    private async Task<IReadOnlyList<DialogueRow>> ReadAsync(CampaignRequest campaign, CancellationToken cancellation)
    {
        try
        {
            await using var stream = await sources.OpenAsync(campaign.Dialogues, cancellation);
            var rows = DialogueSelection.Select(
                DialogueReader.Read(stream, campaign.Dialogues, campaign.Columns), int.MaxValue, campaign.MinCharacters, campaign.MaxCharacters);
            return rows.Count > 0 ? rows : throw new InvalidInputException(
                $"{campaign.Dialogues} has no dialogue of more than {campaign.MinCharacters} and at most {campaign.MaxCharacters} characters: widen minCharacters and maxCharacters.");
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e);
        }
    }
}
