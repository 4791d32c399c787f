using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>What tells one algorithm from another. <see cref="PolicyUpdate"/> is the step that all of them take.</summary>
public abstract class Algorithm(TrainingSettings settings)
{
    /// <summary>The numbers that all have.</summary>
    public TrainingSettings Settings { get; } = settings;

    /// <summary>β of the first step: KL coefficient or, of DPO, its own.</summary>
    public abstract double KlCoefficient { get; }

    /// <summary>Divides the logits of what is learned from, as it did in sampling.</summary>
    public abstract double Temperature { get; }

    /// <summary>Whether a value head is trained beside the policy.</summary>
    public virtual bool HasValueHead => false;

    /// <summary>Whether the policy's own samples are learned from, rather than preferences.</summary>
    public virtual bool Samples => true;

    /// <summary>The penalty that a rollout notes; null: nobody asks the reference while sampling.</summary>
    public virtual KlPenalty? Penalty => KlPenalty.Kl;

    /// <summary>Whether a step tells how far the policy is from the reference.</summary>
    public bool MeasuresKl => Samples && Penalty is not null;

    /// <summary>A mini-batch whose mean ratio is above this moves nothing.</summary>
    public virtual double LargestRatio => double.PositiveInfinity;

    /// <summary>The algorithm that some settings belong to. Another one is a file of its own and a line here.</summary>
    public static Algorithm Of(TrainingSettings settings, GenerationSettings generation) => settings switch
    {
        PpoSettings ppo => new Ppo(ppo, generation),
        GrpoSettings grpo => new Grpo(grpo, generation),
        RlooSettings rloo => new Rloo(rloo, generation),
        DpoSettings dpo => new Dpo(dpo),
        _ => throw new NotSupportedException($"{settings.GetType().Name} belong to no algorithm."),
    };

    /// <summary>What the epochs of a step pursue, once and for all of them.</summary>
    /// <param name="batch">The step's samples, padded.</param>
    /// <param name="samples">The same.</param>
    /// <param name="state">As it was before the step.</param>
    internal abstract Objective Prepare(RolloutTensors batch, IReadOnlyList<RolloutSample> samples, TrainingState state);

    /// <summary>Adam's learning rate for the value head.</summary>
    internal virtual double ValueHeadLearningRate => Settings.LearningRate;

    /// <summary>The first steps in which the value head learns alone.</summary>
    internal virtual int ValueWarmupSteps => 0;

    /// <summary>Whether the epochs end early, told by the latest mini-batch's metrics.</summary>
    internal virtual bool IsFarEnough(IReadOnlyDictionary<string, double> metrics) => false;

    /// <summary>β of the next step.</summary>
    /// <param name="coefficient">β of this one.</param>
    /// <param name="sequenceKl">Its KL from the reference, summed over a response, mean over the samples.</param>
    /// <param name="samples">Samples in the step.</param>
    internal virtual double NextKlCoefficient(double coefficient, double sequenceKl, int samples) => coefficient;
}

/// <summary>What the epochs of a step pursue.</summary>
/// <param name="Units">Rows that stay together in a mini-batch: each sample for itself, or the two sides of a preference.</param>
/// <param name="Scores">What is learned from, one number a sample; empty where nothing is scored.</param>
/// <param name="Loss">
/// The loss of a scored mini-batch, whose rows stand in a tensor [b]. A unit's gradient depends on no other unit's scores, only on how many
/// and how long the others are: that is what lets an update be split.
/// </param>
internal sealed record Objective(int[][] Units, double[] Scores, Func<TokenScores, Tensor, WholeStep, Loss> Loss)
{
    /// <summary>Numbers of the whole step, by metric name.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();

    /// <summary>Tokens that are learned from in each row.</summary>
    public required long[] Tokens { get; init; }

    /// <summary>Moments of all scores so far, this step's included; null where the algorithm does not remember them.</summary>
    public RunningMoments? ScoreMoments { get; init; }

    /// <summary>Each of some samples for itself.</summary>
    public static int[][] Singly(IEnumerable<int> rows) => [.. rows.Select(row => (int[])[row])];
}
