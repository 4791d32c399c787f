namespace RlhfFunctions.Contracts;

/// <summary>
/// The names of the metrics a step reports: TRL's, so that dashboards and readers carry over. What all algorithms have keeps PPO's name;
/// what is another algorithm's own has the name that TRL's trainer gives it.
/// </summary>
public static class MetricNames
{
    public const string Kl = "objective/kl";
    public const string KlEstimator3 = "objective/kl_k3";
    public const string KlCoefficient = "objective/kl_coef";
    public const string SequenceEntropy = "objective/entropy";
    public const string NonScoreReward = "ppo/mean_non_score_reward";
    public const string ScoreMean = "ppo/mean_scores";
    public const string ScoreDeviation = "ppo/std_scores";
    public const string QueryLengthMean = "tokens/queries_len_mean";
    public const string QueryLengthDeviation = "tokens/queries_len_std";
    public const string ResponseLengthMean = "tokens/responses_len_mean";
    public const string ResponseLengthDeviation = "tokens/responses_len_std";
    public const string PolicyLoss = "ppo/loss/policy";
    public const string ValueLoss = "ppo/loss/value";
    public const string TotalLoss = "ppo/loss/total";
    public const string Entropy = "ppo/policy/entropy";
    public const string ApproximateKl = "ppo/policy/approxkl";
    public const string PolicyKl = "ppo/policy/policykl";
    public const string ClipFraction = "ppo/policy/clipfrac";
    public const string AdvantageMean = "ppo/policy/advantages_mean";
    public const string ReturnMean = "ppo/returns/mean";
    public const string ReturnVariance = "ppo/returns/var";
    public const string ValuePrediction = "ppo/val/vpred";
    public const string ValueError = "ppo/val/error";
    public const string ValueClipFraction = "ppo/val/clipfrac";
    public const string ValueMean = "ppo/val/mean";
    public const string ValueVariance = "ppo/val/var";
    public const string ExplainedVariance = "ppo/val/var_explained";
    public const string LearningRate = "ppo/learning_rate";
    public const string LabelProbability = "env/label_probability";
    public const string RewardMean = "env/reward_mean";
    public const string RewardDeviation = "env/reward_std";
    public const string EndedShare = "env/ended_share";
    public const string TokensPerSecond = "time/rollout/tokens_per_second";
    public const string UpdateSeconds = "time/ppo/optimize_step";
    public const string LargestRatio = "ppo/policy/max_mean_ratio";
    public const string SkippedMiniBatches = "ppo/skipped_minibatches";

    public const string WatchedUndesired = "watch/judge";
    public const string WatchedDistinct = "watch/distinct_2";
    public const string WatchedPerplexity = "watch/reference_perplexity";
    public const string WatchedLengthControlled = "watch/length_controlled_gain";
    public const string WatchedDisagreement = "watch/disagreement";

    public const string TokenKl = "kl";
    public const string EqualGroups = "frac_reward_zero_std";
    public const string ClipLowMean = "clip_ratio/low_mean";
    public const string ClipLowMin = "clip_ratio/low_min";
    public const string ClipHighMean = "clip_ratio/high_mean";
    public const string ClipHighMax = "clip_ratio/high_max";
    public const string ClipRegionMean = "clip_ratio/region_mean";
    public const string ChosenReward = "rewards/chosen";
    public const string RejectedReward = "rewards/rejected";
    public const string PreferenceAccuracy = "rewards/accuracies";
    public const string PreferenceMargin = "rewards/margins";
    public const string ChosenLogProb = "logps/chosen";
    public const string RejectedLogProb = "logps/rejected";

    /// <summary>The mean value of one of the reward's terms, before its weight.</summary>
    public static string RewardTerm(string name)
    {
        return $"env/reward/{name}";
    }
}
