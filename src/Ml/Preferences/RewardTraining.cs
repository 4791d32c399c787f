using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>One step of a reward model's training.</summary>
/// <param name="Loss">Before the step.</param>
/// <param name="Accuracy">Share of the decided comparisons that the scores before the step order rightly; null: all were ties.</param>
public sealed record RewardStep(double Loss, double? Accuracy);

/// <summary>
/// Trains a reward model on comparisons, in steps of one batch; a training restored from a checkpoint goes on exactly as the
/// uninterrupted one would have. TRL's RewardTrainer with AdamW, whose weight decay is zero by default: Adam.
/// </summary>
public sealed class RewardTraining : IDisposable
{
    private const string WeightsFile = "trained.safetensors", OptimizerFile = "optimizer.safetensors", StateFile = "state.json";
    private const string MeanPrefix = "exp_avg.", SquarePrefix = "exp_avg_sq.";

    private readonly IPreferenceModel _model;
    private readonly RewardTrainingSettings _settings;
    private readonly IReadOnlyList<Comparison[]> _batches;
    private readonly Adam _adam;

    private RewardTraining(IPreferenceModel model, RewardTrainingSettings settings, IReadOnlyList<Comparison[]> batches)
    {
        (_model, _settings, _batches) = (model, settings, batches);
        _adam = new Adam([.. model.Parameters.Select(named => named.Value)]);
    }

    /// <summary>Steps done.</summary>
    public int Step { get; private set; }

    /// <summary>Steps in all.</summary>
    public int Steps => _batches.Count;

    /// <summary>Whether nothing is left to do.</summary>
    public bool IsDone => Step == Steps;

    /// <summary>Before the first step.</summary>
    /// <param name="model">Changed in place; stays the caller's.</param>
    /// <param name="settings">The numbers of the training.</param>
    /// <param name="comparisons">At least one.</param>
    /// <param name="seed">Decides the order.</param>
    /// <exception cref="ArgumentException">There is nothing to learn from.</exception>
    public static RewardTraining Start(
        IPreferenceModel model, RewardTrainingSettings settings, IReadOnlyList<Comparison> comparisons, ulong seed) =>
        new(model, settings, comparisons.Count > 0
            ? PreferenceBatches.Of(comparisons, settings, seed)
            : throw new ArgumentException("There are no comparisons to learn from.", nameof(comparisons)));

    /// <summary>Where a checkpoint was taken; the other arguments as they were at the start.</summary>
    /// <exception cref="InvalidDataException">A file is missing, damaged or of another model.</exception>
    public static RewardTraining Restore(
        IPreferenceModel model, RewardTrainingSettings settings, IReadOnlyList<Comparison> comparisons, ulong seed,
        IReadOnlyDictionary<string, byte[]> files)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var step = JsonSerializer.Deserialize<int>(Named(files, StateFile));
        using var weights = SafetensorsFile.Read(Named(files, WeightsFile), WeightsFile);
        using var moments = SafetensorsFile.Read(Named(files, OptimizerFile), OptimizerFile);
        foreach (var (name, parameter) in model.Parameters)
        {
            if (!weights.Entries.TryGetValue(name, out var entry) || !entry.Shape.SequenceEqual(parameter.shape))
                throw new InvalidDataException($"The checkpoint's {WeightsFile} holds no {name} of shape {Expect.Describe(parameter.shape)}.");
            parameter.copy_(weights.Load(name));
        }
        var training = Start(model, settings, comparisons, seed);
        training._adam.Restore(
            step, model.Parameters.Select(p => moments.Load(MeanPrefix + p.Key)), model.Parameters.Select(p => moments.Load(SquarePrefix + p.Key)));
        training.Step = step;
        return training;
    }

    /// <summary>The checkpoint: trained weights, Adam's moments, the number of steps. Equal states give equal bytes.</summary>
    public IReadOnlyDictionary<string, byte[]> ToFiles()
    {
        using var scope = NewDisposeScope();
        var names = _model.Parameters.Select(p => p.Key).ToArray();
        var moments = names.Zip(_adam.Means(), (name, mean) => KeyValuePair.Create(MeanPrefix + name, mean))
            .Concat(names.Zip(_adam.Squares(), (name, square) => KeyValuePair.Create(SquarePrefix + name, square)));
        return new Dictionary<string, byte[]>
        {
            [WeightsFile] = SafetensorsFile.Write(_model.Parameters.ToDictionary(p => p.Key, p => (Tensor)p.Value)),
            [OptimizerFile] = SafetensorsFile.Write(moments.ToDictionary()),
            [StateFile] = JsonSerializer.SerializeToUtf8Bytes(Step),
        };
    }

    /// <summary>Learns from the next batch. A step whose gradient is not finite changes nothing but the number of steps.</summary>
    public RewardStep Next()
    {
        using var scope = NewDisposeScope();
        var batch = _batches[Step];
        var scores = _model.Scores([.. batch.Select(c => c.First), .. batch.Select(c => c.Second)]); // [2 B]
        var (first, second) = (scores.narrow(0, 0, batch.Length), scores.narrow(0, batch.Length, batch.Length)); // [B]
        var loss = PairwiseLoss.Of(
            first, second, tensor(Array.ConvertAll(batch, c => (float)c.FirstWins), device: scores.device),
            tensor(Array.ConvertAll(batch, c => (float)c.Margin), device: scores.device), _settings.CenteringCoefficient);
        loss.backward();

        var rate = _settings.LearningRate * Share(Step, Steps, _settings);
        _adam.Step([.. Enumerable.Repeat(rate, _model.Parameters.Count)], _settings.MaxGradientNorm);
        Step++;
        var leads = (first - second).detach().cpu().data<float>().ToArray();
        var decided = batch.Zip(leads).Where(pair => pair.First.FirstWins is 0 or 1).ToArray();
        return new(
            loss.item<float>(),
            decided.Length == 0 ? null : decided.Count(pair => pair.Second > 0 == (pair.First.FirstWins == 1)) / (double)decided.Length);
    }

    /// <inheritdoc/>
    public void Dispose() => _adam.Dispose();

    /// <summary>The share of the learning rate: up in the warm-up, and from the start linearly towards the final share.</summary>
    private static double Share(int step, int steps, RewardTrainingSettings settings) =>
        Math.Min((step + 1.0) / (settings.WarmupSteps + 1), 1) * (1 - ((1 - settings.FinalLearningRateShare) * step / steps));

    private static byte[] Named(IReadOnlyDictionary<string, byte[]> files, string name) =>
        files.TryGetValue(name, out var bytes) ? bytes : throw new InvalidDataException($"The checkpoint lacks {name}.");
}
