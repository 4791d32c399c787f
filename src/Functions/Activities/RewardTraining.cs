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
public sealed class CollectPreferences(RewardRecords rewards, CampaignRecords campaigns, CampaignVotes votes, ArtifactStore artifacts)
{
    public const string FileName = "preferences.json";

    [Function(FunctionNames.CollectPreferences)]
    public async Task<int> Run([ActivityTrigger] CollectPreferencesInput input, CancellationToken cancellation)
    {
        return await artifacts.MakeOnceAsync(BlobPaths.Preferences(input.RewardId), CollectAsync, cancellation);

        async Task<NewArtifact<int>> CollectAsync(CancellationToken stop)
        {
            var request = await rewards.GetAsync(input.RewardId, stop);
            var campaign = await campaigns.FindAsync(request.CampaignId, stop) ?? throw new InvalidInputException($"There is no campaign {request.CampaignId}.");
            var pairs = await campaigns.FindPairsAsync(campaign, stop) ?? throw new InvalidInputException($"The pairs of campaign {request.CampaignId} are not there yet.");
            var preferences = Preference.Of(campaign, pairs, CampaignVotes.Count(await votes.ReadAllAsync(request.CampaignId, stop), pairs));
            if (preferences.Count(p => p.AWins != 0.5) < 2 * request.Training.Folds)
            {
                throw new InvalidInputException($"Campaign {request.CampaignId} has {preferences.Count} judged pairs, of which {preferences.Count(p => p.AWins != 0.5)} are decided: "
                    + $"at least {2 * request.Training.Folds} are needed for {request.Training.Folds} parts. Collect more votes.");
            }

            var files = new Dictionary<string, byte[]> { [FileName] = JsonSerializer.SerializeToUtf8Bytes(preferences, ContractsJson.Options) };
            return new NewArtifact<int>(files, preferences.Count);
        }
    }

    /// <summary>What was kept.</summary>
    public static async Task<IReadOnlyList<Preference>> ReadAsync(ArtifactStore artifacts, string rewardId, CancellationToken cancellation)
    {
        var files = await artifacts.ReadFilesAsync(BlobPaths.Preferences(rewardId), cancellation);
        return JsonSerializer.Deserialize<Preference[]>(files[FileName], ContractsJson.Options)!;
    }
}

/// <summary>Some steps of one training: checkpoint → checkpoint; the last chunk also says what its model makes of what was held out.</summary>
public sealed class TrainReward(RewardRecords rewards, ModelFolders models, ComputeGate gate, ArtifactStore artifacts)
{
    /// <summary>Scores of both responses of every preference, in order, by the finished model.</summary>
    public const string ScoresFile = "scores.json";

    /// <summary>Steps between checkpoints.</summary>
    private const int StepsPerChunk = 100;

    private const int ScoringBatch = 32;

    [Function(FunctionNames.TrainReward)]
    public async Task<TrainRewardResult> Run([ActivityTrigger] TrainRewardInput input, CancellationToken cancellation)
    {
        string path = BlobPaths.RewardCheckpoint(input.RewardId, input.Fold, input.Chunk);
        return await artifacts.MakeOnceAsync(path, stop => TrainAsync(input, stop), cancellation);
    }

    private async Task<NewArtifact<TrainRewardResult>> TrainAsync(TrainRewardInput input, CancellationToken cancellation)
    {
        var request = await rewards.GetAsync(input.RewardId, cancellation);
        var preferences = await CollectPreferences.ReadAsync(artifacts, input.RewardId, cancellation);
        var checkpoint = input.Chunk == 0 ? null
            : await artifacts.ReadFilesAsync(BlobPaths.RewardCheckpoint(input.RewardId, input.Fold, input.Chunk - 1), cancellation);
        string folder = await models.FetchAsync(input.BaseModel, cancellation);
        using var turn = await gate.EnterAsync(new ComputeSettings(), 1, cancellation);
        Threads.Use(1);

        ulong seed = (ulong)request.Seed;
        using var model = Open(folder, request.Training.Lora, seed);
        var all = preferences.Select(p => new Comparison(p.DialogueId, model.Encode(p.A), model.Encode(p.B), p.AWins)).ToArray();
        int[] folds = PreferenceBatches.Folds([.. preferences.Select(p => p.DialogueId)], request.Training.Folds, seed);
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
            files[ScoresFile] = JsonSerializer.SerializeToUtf8Bytes(Score(model, all));
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

/// <summary>The kept model with its tokenizer and what the others, held out part by part, say of how good it is.</summary>
public sealed class PublishReward(RewardRecords rewards, ArtifactStore artifacts)
{
    [Function(FunctionNames.PublishReward)]
    public async Task<RewardOutcome> Run([ActivityTrigger] PublishRewardInput input, CancellationToken cancellation)
    {
        return await artifacts.MakeOnceAsync(BlobPaths.Model(input.RewardId), stop => PublishAsync(input, stop), cancellation);
    }

    private async Task<NewArtifact<RewardOutcome>> PublishAsync(PublishRewardInput input, CancellationToken cancellation)
    {
        var request = await rewards.GetAsync(input.RewardId, cancellation);
        var preferences = await CollectPreferences.ReadAsync(artifacts, input.RewardId, cancellation);
        int folds = input.Chunks.Count - 1;
        var scores = new List<float[][]>();
        for (int fold = 0; fold < folds; fold++) scores.Add(ScoresOf(await LastAsync(fold, input.Chunks[fold])));
        var kept = await LastAsync(null, input.Chunks[^1]);

        int[] part = PreferenceBatches.Folds([.. preferences.Select(p => p.DialogueId)], folds, (ulong)request.Seed);
        JudgedComparison[] judged = [.. preferences.Select((p, i) =>
            new JudgedComparison(p.DialogueId, Decided(p.AWins), scores[part[i]][i][0] - scores[part[i]][i][1], p.A.Length - p.B.Length))];
        var report = RewardQuality.Of(judged, (ulong)request.Seed) with { ScoreDeviation = Deviation([.. ScoresOf(kept).SelectMany(pair => pair)]) };
        var outcome = new RewardOutcome(input.RewardId, BlobPaths.Model(input.RewardId), PreferenceModels.Label, report);

        string[] own = [ModelFolder.ConfigFile, ModelFolder.WeightsFile];
        var files = own.ToDictionary(name => name, name => kept[name]);
        files[RewardRecords.ReportFile] = JsonSerializer.SerializeToUtf8Bytes(outcome, ContractsJson.Indented);
        foreach (var file in (await artifacts.GetAsync<object>(input.BaseModel, cancellation)).Files.Where(file => IsTokenizers(file.Name)))
            files[file.Name] = await artifacts.ReadAsync(file, cancellation); // an artefact has no files of another's
        return new NewArtifact<RewardOutcome>(files, outcome);

        Task<IReadOnlyDictionary<string, byte[]>> LastAsync(int? fold, int chunks) =>
            artifacts.ReadFilesAsync(BlobPaths.RewardCheckpoint(input.RewardId, fold, chunks - 1), cancellation);
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
    private static double Decided(double wins)
    {
        return wins > 0.5 ? 1 : wins < 0.5 ? 0 : 0.5;
    }

    private static double Deviation(float[] scores)
    {
        double mean = scores.Average();
        return Math.Sqrt(scores.Average(score => (score - mean) * (score - mean)));
    }
}
