namespace RlhfFunctions.Contracts;

/// <summary>The functions' names: what one app schedules by name, the other runs.</summary>
public static class FunctionNames
{
    public const string StartRun = nameof(StartRun);
    public const string GetRun = nameof(GetRun);
    public const string ListRuns = nameof(ListRuns);
    public const string GetReport = nameof(GetReport);
    public const string GetFile = nameof(GetFile);
    public const string RunsPage = nameof(RunsPage);
    public const string ComparePage = nameof(ComparePage);
    public const string HistoryPage = nameof(HistoryPage);
    public const string GetMetrics = nameof(GetMetrics);
    public const string ListCheckpoints = nameof(ListCheckpoints);
    public const string ListEvents = nameof(ListEvents);
    public const string SuspendRun = nameof(SuspendRun);
    public const string ResumeRun = nameof(ResumeRun);
    public const string CancelRun = nameof(CancelRun);
    public const string DeleteRun = nameof(DeleteRun);
    public const string ListAdapters = nameof(ListAdapters);
    public const string PromoteAdapter = nameof(PromoteAdapter);
    public const string RollBackAdapter = nameof(RollBackAdapter);
    public const string Generate = nameof(Generate);
    public const string Score = nameof(Score);
    public const string ChatCompletions = nameof(ChatCompletions);
    public const string ListChatModels = nameof(ListChatModels);
    public const string PutDialogues = nameof(PutDialogues);
    public const string ListModels = nameof(ListModels);
    public const string PutModelFile = nameof(PutModelFile);
    public const string CompleteModel = nameof(CompleteModel);
    public const string GetHealth = nameof(GetHealth);
    public const string GetReady = nameof(GetReady);
    public const string GetVersion = nameof(GetVersion);
    public const string GetOpenApi = nameof(GetOpenApi);
    public const string NoSuchAddress = nameof(NoSuchAddress);
    public const string NightlyTimer = nameof(NightlyTimer);
    public const string DialoguesUploaded = nameof(DialoguesUploaded);

    public const string StartCampaign = nameof(StartCampaign);
    public const string GetCampaign = nameof(GetCampaign);
    public const string GetCampaignPage = nameof(GetCampaignPage);
    public const string GetNextPairs = nameof(GetNextPairs);
    public const string AddVotes = nameof(AddVotes);
    public const string DeleteVotes = nameof(DeleteVotes);
    public const string ExportVotes = nameof(ExportVotes);
    public const string GetVoteStatistics = nameof(GetVoteStatistics);
    public const string StartReward = nameof(StartReward);
    public const string GetReward = nameof(GetReward);
    public const string GetRewardReport = nameof(GetRewardReport);

    public const string Campaign = nameof(Campaign);
    public const string RewardModel = nameof(RewardModel);
    public const string RlhfRun = nameof(RlhfRun);
    public const string Notification = nameof(Notification);
    public const string NightlyEvaluation = nameof(NightlyEvaluation);
    public const string SummarizeDialogues = nameof(SummarizeDialogues);

    public const string PrepareModel = nameof(PrepareModel);
    public const string PrepareDataset = nameof(PrepareDataset);
    public const string PrepareAdapter = nameof(PrepareAdapter);
    public const string ScorePreferences = nameof(ScorePreferences);
    public const string RolloutShard = nameof(RolloutShard);
    public const string GradientShard = nameof(GradientShard);
    public const string OptimizerStep = nameof(OptimizerStep);
    public const string PpoUpdate = nameof(PpoUpdate);
    public const string Evaluate = nameof(Evaluate);
    public const string PublishAdapter = nameof(PublishAdapter);
    public const string RepairRun = nameof(RepairRun);
    public const string BeginNotice = nameof(BeginNotice);
    public const string SendNotice = nameof(SendNotice);
    public const string NoteNotice = nameof(NoteNotice);
    public const string EvaluateLatest = nameof(EvaluateLatest);
    public const string WriteSummaries = nameof(WriteSummaries);
    public const string SweepStorage = nameof(SweepStorage);
    public const string GeneratePairs = nameof(GeneratePairs);
    public const string CollectPreferences = nameof(CollectPreferences);
    public const string TrainReward = nameof(TrainReward);
    public const string PublishReward = nameof(PublishReward);
}
