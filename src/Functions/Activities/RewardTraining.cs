using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Storage;
using static TorchSharp.torch;

namespace RlhfFunctions.Activities;

/// <summary>Keeps the votes as they are now, so that every training, and every retry of one, learns from the same.</summary>
public sealed class CollectPreferences(RewardRecords rewards, CampaignPreferences campaigns, ArtifactStore artifacts)
{
    private const string FileName = "preferences.json", GoldFile = "gold.json";

    [Function(FunctionNames.CollectPreferences)]
    public async Task<int> Run([ActivityTrigger] CollectPreferencesInput input, CancellationToken cancellation)
    {
        return await artifacts.MakeOnceAsync(BlobPaths.Preferences(input.RewardId), CollectAsync, cancellation);

        async Task<NewArtifact<int>> CollectAsync(CancellationToken stop)
        {
            var request = await rewards.GetAsync(input.RewardId, stop);
            var (preferences, gold) = await campaigns.ReadAsync(request.CampaignId, before: null, stop);
            if (preferences.Count(p => p.AWins != 0.5) < 2 * request.Training.Folds)
            {
                throw new InvalidInputException($"Campaign {request.CampaignId} has {preferences.Count} judged pairs, of which {preferences.Count(p => p.AWins != 0.5)} are decided: "
                    + $"at least {2 * request.Training.Folds} are needed for {request.Training.Folds} parts. Collect more votes.");
            }

            var files = new Dictionary<string, byte[]>
            {
                [FileName] = JsonSerializer.SerializeToUtf8Bytes(preferences, ContractsJson.Options),
                [GoldFile] = JsonSerializer.SerializeToUtf8Bytes(gold, ContractsJson.Options),
            };
            return new NewArtifact<int>(files, preferences.Count);
        }
    }

    /// <summary>What was kept.</summary>
    public static async Task<(Preference[] Preferences, Preference[] Gold)> ReadAsync(ArtifactStore artifacts, string rewardId, CancellationToken cancellation)
    {
        var files = await artifacts.ReadFilesAsync(BlobPaths.Preferences(rewardId), cancellation);
        return (Read(FileName), Read(GoldFile));

        Preference[] Read(string name) => JsonSerializer.Deserialize<Preference[]>(files[name], ContractsJson.Options)!;
    }
}

/// <summary>Some steps of one training: checkpoint → checkpoint; the last chunk also says what its model makes of what was held out.</summary>
public sealed class TrainReward(RewardRecords rewards, ModelFolders models, ComputeGate gate, ArtifactStore artifacts)
{
    /// <summary>Scores of both responses of every preference, in order, and then of every gold pair, by the finished model.</summary>
    public const string ScoresFile = "scores.json";

    /// <summary>Steps between checkpoints.</summary>
    private const int StepsPerChunk = 100;

    private const int ScoringBatch = 32;

    [Function(FunctionNames.TrainReward)]
    public async Task<TrainRewardResult> Run([ActivityTrigger] TrainRewardInput input, CancellationToken cancellation)
    {
        string path = BlobPaths.RewardCheckpoint(input.RewardId, input.Member, input.Fold, input.Chunk);
        return await artifacts.MakeOnceAsync(path, stop => TrainAsync(input, stop), cancellation);
    }

    private async Task<NewArtifact<TrainRewardResult>> TrainAsync(TrainRewardInput input, CancellationToken cancellation)
    {
        var request = await rewards.GetAsync(input.RewardId, cancellation);
        var (preferences, gold) = await CollectPreferences.ReadAsync(artifacts, input.RewardId, cancellation);
        var checkpoint = input.Chunk == 0 ? null
            : await artifacts.ReadFilesAsync(BlobPaths.RewardCheckpoint(input.RewardId, input.Member, input.Fold, input.Chunk - 1), cancellation);
        string folder = await models.FetchAsync(input.BaseModel, cancellation);
        using var turn = await gate.EnterAsync(new ComputeSettings(), 1, cancellation);
        Threads.Use(1);

        ulong seed = input.Member == 0 ? (ulong)request.Seed : Seeds.Derive((ulong)request.Seed, "reward member", input.Member);
        using var model = Open(folder, request.Training.Lora, seed);
        Comparison[] Encode(Preference[] some) => [.. some.Select(p => new Comparison(p.DialogueId, model.Encode(p.A), model.Encode(p.B), p.AWins))];
        var all = Encode(preferences);
        int[] folds = PreferenceBatches.Folds([.. preferences.Select(p => p.DialogueId)], request.Training.Folds, (ulong)request.Seed); // alike for all members
        Comparison[] learnt = input.Fold is null ? all : [.. all.Where((_, i) => folds[i] != input.Fold)];
        using var training = checkpoint is null
            ? Ml.Preferences.RewardTraining.Start(model, request.Training, learnt, seed)
            : Ml.Preferences.RewardTraining.Restore(model, request.Training, learnt, seed, checkpoint);

        var losses = new List<double>();
        while (!training.IsDone && losses.Count < StepsPerChunk)
        {
            cancellation.ThrowIfCancellationRequested();
            losses.Add(training.Next().Loss);
        }

        var files = new Dictionary<string, byte[]>(training.ToFiles());
        if (training.IsDone)
        {
            files[ScoresFile] = JsonSerializer.SerializeToUtf8Bytes(Score(model, [.. all, .. Encode(gold)]));
            if (input.Fold is null)
            {
                foreach (var (name, bytes) in model.ToFolder()) files[name] = bytes;
            }
        }

        return new NewArtifact<TrainRewardResult>(files, new TrainRewardResult(training.Step, training.Steps, losses.Count == 0 ? 0 : losses.Average()));
    }

    private static IPreferenceModel Open(string folder, LoraSettings lora, ulong seed)
    {
        try
        {
            return PreferenceModels.Open(folder, lora, seed);
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException)
        {
            throw new InvalidInputException(e.Message, e); // the same base would be as wrong the next time
        }
    }

    private static float[][] Score(IPreferenceModel model, Comparison[] comparisons)
    {
        using var noGrad = no_grad();
        return [.. comparisons.Chunk(ScoringBatch).SelectMany(batch =>
        {
            using var scope = NewDisposeScope();
            float[] scores = [.. model.Scores([.. batch.Select(c => c.First), .. batch.Select(c => c.Second)]).cpu().data<float>()];
            return batch.Select((_, i) => new[] { scores[i], scores[batch.Length + i] }).ToArray();
        })];
    }
}

/// <summary>A kept model with its tokenizer and what the others, held out part by part, say of how good it is; the first of several tells of all.</summary>
public sealed class PublishReward(RewardRecords rewards, ArtifactStore artifacts)
{
    [Function(FunctionNames.PublishReward)]
    public async Task<RewardOutcome> Run([ActivityTrigger] PublishRewardInput input, CancellationToken cancellation)
    {
        return await artifacts.MakeOnceAsync(BlobPaths.RewardModel(input.RewardId, input.Member), stop => PublishAsync(input, stop), cancellation);
    }

    private async Task<NewArtifact<RewardOutcome>> PublishAsync(PublishRewardInput input, CancellationToken cancellation)
    {
        var request = await rewards.GetAsync(input.RewardId, cancellation);
        var (preferences, gold) = await CollectPreferences.ReadAsync(artifacts, input.RewardId, cancellation);
        int[] parts = PreferenceBatches.Folds([.. preferences.Select(p => p.DialogueId)], request.Training.Folds, (ulong)request.Seed);
        var files = await LastAsync(input.Member, null);
        var outcome = await OutcomeAsync(input.Member);
        if (input.Member == 0 && input.Chunks.Count > 1)
        {
            var scores = new List<MemberScores>();
            for (int member = 0; member < input.Chunks.Count; member++) scores.Add(await ScoresAsync(member));
            RewardOutcome[] members = [outcome, .. await Task.WhenAll(Enumerable.Range(1, scores.Count - 1).Select(OutcomeAsync))];
            outcome = outcome with { Ensemble = new RewardEnsemble(Report(MemberScores.Mean(scores)), members) };
        }

        var published = new Dictionary<string, byte[]>
        {
            [ModelFolder.ConfigFile] = files[ModelFolder.ConfigFile],
            [ModelFolder.WeightsFile] = files[ModelFolder.WeightsFile],
            [RewardRecords.ReportFile] = JsonSerializer.SerializeToUtf8Bytes(outcome, ContractsJson.Indented),
        };
        foreach (var file in (await artifacts.GetAsync<object>(input.BaseModel, cancellation)).Files.Where(file => IsTokenizers(file.Name)))
            published[file.Name] = await artifacts.ReadAsync(file, cancellation); // an artefact has no files of another's
        return new NewArtifact<RewardOutcome>(published, outcome);

        async Task<RewardOutcome> OutcomeAsync(int member) =>
            new(input.RewardId, BlobPaths.RewardModel(input.RewardId, member), PreferenceModels.Label, Report(await ScoresAsync(member)));

        RewardReport Report(MemberScores scores)
        {
            JudgedComparison[] judged = [.. preferences.Select((p, i) => Judged(p, scores.HeldOut[i]))];
            return RewardQuality.Of(judged, (ulong)request.Seed) with
            {
                GoldAccuracy = gold.Length == 0 ? null : RewardQuality.AccuracyOf([.. gold.Select((p, i) => Judged(p, scores.Kept[preferences.Length + i]))], (ulong)request.Seed),
                ScoreDeviation = Deviation([.. scores.Kept.Take(preferences.Length).SelectMany(pair => pair)]),
            };
        }

        // Of each preference the scores by the model that has not seen its prompt.
        async Task<MemberScores> ScoresAsync(int member)
        {
            var byPart = await Task.WhenAll(Enumerable.Range(0, request.Training.Folds).Select(async part => ScoresOf(await LastAsync(member, part))));
            return new MemberScores([.. parts.Select((part, i) => byPart[part][i])], ScoresOf(await LastAsync(member, null)));
        }

        Task<IReadOnlyDictionary<string, byte[]>> LastAsync(int member, int? fold) =>
            artifacts.ReadFilesAsync(BlobPaths.RewardCheckpoint(input.RewardId, member, fold, input.Chunks[member][fold ?? ^1] - 1), cancellation);
    }

    private static bool IsTokenizers(string name)
    {
        return name.StartsWith("tokenizer", StringComparison.Ordinal) || name is "vocab.json" or "merges.txt" or "special_tokens_map.json" or "added_tokens.json";
    }

    private static float[][] ScoresOf(IReadOnlyDictionary<string, byte[]> files)
    {
        return JsonSerializer.Deserialize<float[][]>(files[TrainReward.ScoresFile])!;
    }

    /// <summary>Of several votes the majority's.</summary>
    private static JudgedComparison Judged(Preference preference, float[] scores)
    {
        double wins = preference.AWins > 0.5 ? 1 : preference.AWins < 0.5 ? 0 : 0.5;
        return new JudgedComparison(preference.DialogueId, wins, scores[0] - scores[1], preference.A.Length - preference.B.Length);
    }

    private static double Deviation(float[] scores)
    {
        double mean = scores.Average();
        return Math.Sqrt(scores.Average(score => (score - mean) * (score - mean)));
    }

    /// <summary>Scores of both responses of every pair.</summary>
    /// <param name="HeldOut">By models that have not seen the prompt.</param>
    /// <param name="Kept">By the kept model, gold pairs last.</param>
    private sealed record MemberScores(float[][] HeldOut, float[][] Kept)
    {
        public static MemberScores Mean(IReadOnlyList<MemberScores> members)
        {
            return new MemberScores(Mean([.. members.Select(member => member.HeldOut)]), Mean([.. members.Select(member => member.Kept)]));
        }

        private static float[][] Mean(float[][][] members)
        {
            return [.. members[0].Select((_, i) => new[] { members.Average(scores => scores[i][0]), members.Average(scores => scores[i][1]) })];
        }
    }
}
