using System.Text.Json;
using RlhfFunctions.Activities;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Campaigns;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>Two reward models of different seeds, each right in three votes of four, and together in all: numbers worked by hand.</summary>
public sealed class PublishRewardTests(AzuriteFixture azurite)
{
    private const int Folds = 2, Votes = 4;
    private readonly string _id = $"taste-{Guid.NewGuid():n}";

    [Fact]
    public async Task Of_several_models_the_first_tells_of_all_by_what_each_says_of_dialogues_it_has_not_seen()
    {
        using var host = new ActivityHost(azurite);
        var blobs = host.Get<BlobFiles>();
        var campaign = await PlantedCampaign.PlantAsync(blobs, _id, pairs: Votes + 2, "base", "base", same => same, gold: 2);
        await campaign.VoteAsync("ann", Enumerable.Range(0, Votes + 2).Select(pair => (pair, VoteChoice.A)));
        var request = new RewardRequest { RewardId = _id, CampaignId = _id, Base = "file:base", Seeds = 2, Training = new() { Folds = Folds } };
        await blobs.TryRecordAsync(BlobPaths.Reward(_id), request, CancellationToken.None);
        await host.New<CollectPreferences>().Run(new CollectPreferencesInput(_id), CancellationToken.None);
        string model = await PlantAsync(BlobPaths.Model($"base-{_id}"), new() { ["tokenizer.model"] = [7], ["model.safetensors"] = [8] });

        await TrainedAsync(member: 0, leads: [2, 2, 2, -1], gold: [1, -1]);
        await TrainedAsync(member: 1, leads: [-1, 2, 2, 2], gold: [3, 3]);
        int[][] chunks = [[2, 2, 2], [2, 2, 2]];
        await host.New<PublishReward>().Run(new PublishRewardInput(_id, model, 1, chunks), CancellationToken.None);
        var outcome = await host.New<PublishReward>().Run(new PublishRewardInput(_id, model, 0, chunks), CancellationToken.None);

        Assert.Equal((0.75, 0.5, Votes), (outcome.Report.Accuracy.Mean, outcome.Report.GoldAccuracy!.Mean, outcome.Report.Comparisons));
        Assert.Equal(1, outcome.Report.ScoreDeviation); // of the kept model's scores, which are 1 and −1
        Assert.Equal((1.0, 1.0), (outcome.Ensemble!.Report.Accuracy.Mean, outcome.Ensemble.Report.GoldAccuracy!.Mean)); // leads ½, 2, 2, ½; of gold 2 and 1
        Assert.Equal([(0.75, 0.5), (0.75, 1.0)], outcome.Ensemble.Members.Select(member => (member.Report.Accuracy.Mean, member.Report.GoldAccuracy!.Mean)));
        var second = await host.Get<RewardRecords>().FindOutcomeAsync($"{_id}.1", CancellationToken.None);
        Assert.Equal((BlobPaths.RewardModel(_id, 1), 0.75, null), (second!.Model, second.Report.Accuracy.Mean, second.Ensemble));
        var files = await host.Get<ArtifactStore>().ReadFilesAsync(BlobPaths.RewardModel(_id, 1), CancellationToken.None);
        Assert.Equal(["config.json", "model.safetensors", "reward.json", "tokenizer.model"], files.Keys.Order());
        Assert.Equal([1], files[ModelFolder.WeightsFile]); // its own, and not its base's

        // Two chunks each; a model that has seen a dialogue is wrong of it, so that asking it would show.
        async Task TrainedAsync(int member, double[] leads, double[] gold)
        {
            int[] parts = PreferenceBatches.Folds([.. Enumerable.Range(0, Votes).Select(i => $"d{i}")], Folds, seed: 0);
            foreach (int? fold in new int?[] { 0, 1, null })
            {
                var scores = leads.Select((lead, i) => fold is null ? [1, -1] : parts[i] == fold ? new[] { lead, 0 } : [-9, 0]).Concat(gold.Select(lead => new[] { lead, 0 }));
                await PlantAsync(BlobPaths.RewardCheckpoint(_id, member, fold, 1), new()
                {
                    [TrainReward.ScoresFile] = JsonSerializer.SerializeToUtf8Bytes(scores),
                    [ModelFolder.ConfigFile] = [(byte)member],
                    [ModelFolder.WeightsFile] = [(byte)member],
                });
            }
        }

        Task<string> PlantAsync(string path, Dictionary<string, byte[]> contents) =>
            host.Get<ArtifactStore>().MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(contents, path)), CancellationToken.None);
    }
}
