using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// What a run carries from step to step besides the policy's own parameters. Together they are a checkpoint: a run restored
/// from one goes on exactly as the uninterrupted run would have.
/// </summary>
public sealed class TrainingState : IDisposable
{
    /// <summary>The files of a checkpoint.</summary>
    public const string AdapterFile = "adapter_model.safetensors", ValueHeadFile = "value_head.safetensors",
        OptimizerFile = "optimizer.safetensors", StateFile = "state.json";

    private const string MeanPrefix = "exp_avg.", SquarePrefix = "exp_avg_sq."; // torch's names

    private readonly TrainedPolicy _policy;

    private TrainingState(TrainedPolicy policy)
    {
        _policy = policy;
        Optimizer = new([.. policy.Parameters.Select(named => named.Value)]);
    }

    /// <summary>Steps done.</summary>
    public int Step { get; internal set; }

    /// <summary>β of the next step.</summary>
    public double KlCoefficient { get; internal set; }

    /// <summary>Moments of all scores so far.</summary>
    public RunningMoments ScoreMoments { get; internal set; } = RunningMoments.Start;

    /// <summary>Mean response length of the run's first step, in tokens; null before it.</summary>
    public double? FirstResponseLength { get; internal set; }

    /// <summary>What the watch for a hacked reward remembers.</summary>
    public HackWatch Watch { get; set; } = HackWatch.Start;

    /// <summary>Adam with its moments.</summary>
    public Adam Optimizer { get; }

    /// <summary>Before the first step.</summary>
    public static TrainingState Start(TrainedPolicy policy, Algorithm algorithm) =>
        new(policy) { KlCoefficient = algorithm.KlCoefficient };

    /// <summary>Puts a checkpoint's parameters into the policy and returns the state that goes with them.</summary>
    /// <exception cref="InvalidDataException">A file is missing, damaged or of another adapter.</exception>
    public static TrainingState Restore(TrainedPolicy policy, IReadOnlyDictionary<string, byte[]> files)
    {
        using var scope = NewDisposeScope();
        RestoreParameters(policy, files);
        var numbers = JsonSerializer.Deserialize<Numbers>(Named(files, StateFile))
            ?? throw new InvalidDataException($"{StateFile} is empty.");
        using var moments = Open(files, OptimizerFile);
        var state = new TrainingState(policy)
        {
            Step = numbers.Step,
            KlCoefficient = numbers.KlCoefficient,
            ScoreMoments = numbers.ScoreMoments,
            FirstResponseLength = numbers.FirstResponseLength,
            Watch = numbers.Watch ?? HackWatch.Start,
        };
        try
        {
            state.Optimizer.Restore(
                numbers.OptimizerSteps,
                policy.Parameters.Select(named => moments.Load(MeanPrefix + named.Key)),
                policy.Parameters.Select(named => moments.Load(SquarePrefix + named.Key)));
            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Puts a checkpoint's parameters into the policy, for those who only want to use it.</summary>
    /// <exception cref="InvalidDataException">A file is missing, damaged or of another adapter.</exception>
    public static void RestoreParameters(TrainedPolicy policy, IReadOnlyDictionary<string, byte[]> files)
    {
        using var adapter = Open(files, AdapterFile);
        policy.Adapter.Load(adapter);
        if (policy.ValueHead is null)
            return;
        using var valueHead = Open(files, ValueHeadFile);
        policy.ValueHead.Load(valueHead);
    }

    /// <summary>The checkpoint: adapter as PEFT names it, value head where there is one, Adam's moments, numbers. Equal states give equal bytes.</summary>
    public IReadOnlyDictionary<string, byte[]> ToFiles()
    {
        using var scope = NewDisposeScope();
        var names = _policy.Parameters.Select(named => named.Key).ToArray();
        var moments = names.Zip(Optimizer.Means(), (name, mean) => KeyValuePair.Create(MeanPrefix + name, mean))
            .Concat(names.Zip(Optimizer.Squares(), (name, square) => KeyValuePair.Create(SquarePrefix + name, square)));
        var files = new Dictionary<string, byte[]>
        {
            [AdapterFile] = _policy.Adapter.ToSafetensors(),
            [OptimizerFile] = SafetensorsFile.Write(moments.ToDictionary()),
            [StateFile] = JsonSerializer.SerializeToUtf8Bytes(new Numbers(Step, KlCoefficient, Optimizer.Steps, ScoreMoments, FirstResponseLength, Watch)),
        };
        if (_policy.ValueHead is { } valueHead)
            files[ValueHeadFile] = valueHead.ToSafetensors();
        return files;
    }

    /// <inheritdoc/>
    public void Dispose() => Optimizer.Dispose();

    private static SafetensorsFile Open(IReadOnlyDictionary<string, byte[]> files, string name) =>
        SafetensorsFile.Read(Named(files, name), name);

    private static byte[] Named(IReadOnlyDictionary<string, byte[]> files, string name) =>
        files.TryGetValue(name, out var bytes) ? bytes : throw new InvalidDataException($"The checkpoint lacks {name}.");

    private sealed record Numbers(int Step, double KlCoefficient, long OptimizerSteps, RunningMoments ScoreMoments, double? FirstResponseLength, HackWatch? Watch);
}
