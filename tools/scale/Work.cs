namespace RlhfFunctions.Scale;

/// <summary>What the computing alone takes, and what follows from that.</summary>
public static class Work
{
    /// <summary>
    /// Seconds of a shard's rollouts on one replica. All sequences under way get a token at a time, and where one has ended the
    /// next takes its place: there are as many such steps as the longest response has tokens, or as the places need for all tokens.
    /// </summary>
    public static double Rollout(StageTimes stages, IReadOnlyList<int> lengths)
    {
        double tokens = lengths.Sum(length => (double)length);
        double decodeSteps = Math.Max(lengths.Max(), Math.Ceiling(tokens / stages.SequencesAtOnce));
        return (decodeSteps * stages.DecodeStepSeconds) + (tokens * stages.TokenSeconds) + (lengths.Count * stages.SampleSeconds);
    }

    /// <summary>Seconds of a whole update on one replica.</summary>
    public static double Update(StageTimes stages, Plan plan)
    {
        return ((double)plan.Epochs * plan.BatchSize * stages.UpdateSampleSeconds) + (plan.OptimizerSteps * stages.OptimizerStepSeconds);
    }

    /// <summary>
    /// The replicas on which the rollouts of a step take as long as its update on one: from there on the single update is the
    /// bottleneck. By the mean length; a replica's places are full.
    /// </summary>
    public static double Balance(StageTimes stages, Plan plan)
    {
        double mean = (plan.ShortestResponse + plan.LongestResponse) / 2.0;
        double response = stages.SampleSeconds + (mean * (stages.TokenSeconds + (stages.DecodeStepSeconds / stages.SequencesAtOnce)));
        return plan.BatchSize * response / Update(stages, plan);
    }

    /// <summary>Amdahl's law: what so many replicas are worth at most, where rollouts take R seconds on one and the update U.</summary>
    public static double MostSpeedUp(double rollout, double update, int replicas)
    {
        return (rollout + update) / ((rollout / replicas) + update);
    }
}
