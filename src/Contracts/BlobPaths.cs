namespace RlhfFunctions.Contracts;

/// <summary>The only place that spells a blob path. The first segment is the container.</summary>
public static class BlobPaths
{
    public const string Models = "models";
    public const string Runs = "runs";
    public const string Adapters = "adapters";
    public const string Dialogues = "dialogues";
    public const string Summaries = "summaries";
    public const string Evaluations = "evaluations";

    public const string Campaigns = "campaigns";
    public const string Rewards = "rewards";

    /// <summary>Points to the run whose adapter serves; moves by If-Match.</summary>
    public const string LatestAdapter = $"{Adapters}/latest.json";

    public static string Model(string name)
    {
        return $"{Models}/{name}";
    }

    /// <summary>Written anew whenever an import of the model begins or goes on, so that one under way is not taken for abandoned.</summary>
    public static string ImportMark(string model)
    {
        return $"{model}/importing";
    }

    public static string Request(string runId)
    {
        return $"{Runs}/{runId}/request.json";
    }

    /// <summary>There while a run is cancelled: its activities look for it and stop.</summary>
    public static string CancelMark(string runId)
    {
        return $"{Runs}/{runId}/cancelled";
    }

    /// <summary>What happened to a run.</summary>
    public static string Events(string runId)
    {
        return $"{Runs}/{runId}/events.json";
    }

    public static string Dataset(string runId)
    {
        return $"{Runs}/{runId}/dataset";
    }

    public static string Preferences(string runId, int shard)
    {
        return $"{Runs}/{runId}/preferences/{shard:D3}";
    }

    public static string Rollout(string runId, int step, int shard)
    {
        return $"{Rollouts(runId, step)}/{shard:D3}";
    }

    /// <summary>All shards' rollouts of a step.</summary>
    public static string Rollouts(string runId, int step)
    {
        return $"{RolloutSteps(runId)}/{step:D5}/rollouts";
    }

    /// <summary>The gradient of a shard's part of a step of the optimizer, both counted from 0.</summary>
    public static string Gradient(string runId, int step, int optimizerStep, int shard)
    {
        return $"{Update(runId, step)}/{optimizerStep:D5}/gradients/{shard:D3}";
    }

    /// <summary>The state on the way from a checkpoint to the next, after some steps of the optimizer, at least one.</summary>
    public static string OptimizerState(string runId, int step, int optimizerSteps)
    {
        return $"{Update(runId, step)}/{optimizerSteps:D5}/state";
    }

    /// <summary>What the shards of a step's update hand on to one another.</summary>
    public static string Update(string runId, int step)
    {
        return $"{RolloutSteps(runId)}/{step:D5}/update";
    }

    /// <summary>All steps' rollouts and gradients.</summary>
    public static string RolloutSteps(string runId)
    {
        return $"{Runs}/{runId}/steps";
    }

    /// <summary>
    /// The tags of a blob at this path, or null: what lies below a <see cref="Rollout"/> or an <see cref="Update"/> is of use only until its
    /// step is done, and the lifecycle rule of infra/bicep tells it by its tag.
    /// </summary>
    public static IDictionary<string, string>? TagsOf(string path)
    {
        string[] parts = path.Split('/');
        return parts is [Runs, _, "steps", _, "rollouts" or "update", ..] ? new Dictionary<string, string> { ["kind"] = "rollout" } : null;
    }

    /// <summary>The state before step <paramref name="step"/>, and the metrics of the step that led to it.</summary>
    public static string Checkpoint(string runId, int step)
    {
        return $"{Checkpoints(runId)}/{step:D5}";
    }

    /// <summary>All checkpoints.</summary>
    public static string Checkpoints(string runId)
    {
        return $"{Runs}/{runId}/checkpoints";
    }

    /// <summary>The metrics of PPO step <paramref name="step"/>, kept when its checkpoint no longer is.</summary>
    public static string Metrics(string runId, int step)
    {
        return $"{Runs}/{runId}/metrics/{step:D5}";
    }

    /// <summary>The policy measured as it was before step <paramref name="step"/>.</summary>
    public static string Measurement(string runId, int step)
    {
        return $"{Runs}/{runId}/measurements/{step:D5}";
    }

    /// <summary>The run itself: its manifest.json is written last, so a run that has it is finished and whole.</summary>
    public static string Run(string runId)
    {
        return $"{Runs}/{runId}";
    }

    /// <summary>A file that the finished run publishes; <see cref="RunFiles"/> names them.</summary>
    public static string Published(string runId, string file)
    {
        return $"{Runs}/{runId}/{file}";
    }

    public static string NightlyEvaluation(string date)
    {
        return $"{Evaluations}/{date}";
    }

    public static string Summary(string dialogueBlob)
    {
        return $"{Summaries}/{dialogueBlob}.json";
    }

    /// <summary>What is wrong with an uploaded file of dialogues; not there: nothing.</summary>
    public static string SummaryErrors(string dialogueBlob)
    {
        return $"{Summaries}/{dialogueBlob}.error.json";
    }

    public static string Campaign(string campaignId)
    {
        return $"{Campaigns}/{campaignId}/request.json";
    }

    public static string Pairs(string campaignId, int shard)
    {
        return $"{Campaigns}/{campaignId}/pairs/{shard:D4}";
    }

    /// <summary>Who has which pair for now; changes by If-Match.</summary>
    public static string Leases(string campaignId)
    {
        return $"{Campaigns}/{campaignId}/leases.json";
    }

    /// <summary>All votes of a campaign lie below this.</summary>
    public static string Votes(string campaignId)
    {
        return $"{Campaigns}/{campaignId}/votes/";
    }

    /// <summary>An annotator's votes: JSON Lines to which lines are added.</summary>
    public static string Votes(string campaignId, string annotator)
    {
        return $"{Campaigns}/{campaignId}/votes/{annotator}.jsonl";
    }

    public static string Reward(string rewardId)
    {
        return $"{Rewards}/{rewardId}/request.json";
    }

    /// <summary>The votes a reward model learns from, as they were when it started.</summary>
    public static string Preferences(string rewardId)
    {
        return $"{Rewards}/{rewardId}/preferences";
    }

    /// <summary>Where one of a reward's models is published. No id has a dot.</summary>
    public static string RewardModel(string rewardId, int member)
    {
        return Model(member == 0 ? rewardId : $"{rewardId}.{member}");
    }

    /// <summary>The state after a chunk of a training.</summary>
    /// <param name="rewardId">The reward model.</param>
    /// <param name="member">Which of its models.</param>
    /// <param name="fold">The part held out; null: none.</param>
    /// <param name="chunk">From 0.</param>
    public static string RewardCheckpoint(string rewardId, int member, int? fold, int chunk)
    {
        return $"{Rewards}/{rewardId}/trainings/{member:D2}/{(fold is { } part ? $"without-{part:D2}" : "all")}/{chunk:D5}";
    }
}
