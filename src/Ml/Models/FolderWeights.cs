using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// Frozen weights from a model folder, converted one by one, so that the peak is the model in memory and its largest tensor.
/// What does not fit is collected and refused at the end, all of it at once.
/// </summary>
internal sealed class FolderWeights(
    HuggingFaceFolder folder, ModelPrecision precision, Device device, ScalarType? computeType = null) : WeightSource
{
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];

    public override ScalarType ComputeType { get; } = precision == ModelPrecision.Nf4 && device.type == DeviceType.CPU && computeType is { } chosen
        ? chosen : ComputeTypeOf(precision, device.type);

    public override Device Device => device;

    public override Parameter Matrix(string name, params long[] shape) => Take(name, shape);

    public override Parameter Scale(string name, long size) => Take(name, size);

    public override Parameter Offset(string name, long size) => Take(name, size);

    /// <summary>
    /// A layer in 4 bits where they are asked for: as the checkpoint holds it, or quantised from float16, as transformers does.
    /// A 4-bit checkpoint also loads in any other precision.
    /// </summary>
    public override LinearLayer Linear(string name, long inFeatures, long outFeatures, bool hasBias, bool canBeQuantized = true)
    {
        var weightName = $"{name}.weight";
        var isQuantized = BitsAndBytesTensors.IsQuantized(folder, weightName);
        if (!isQuantized && !(precision == ModelPrecision.Nf4 && canBeQuantized))
            return base.Linear(name, inFeatures, outFeatures, hasBias, canBeQuantized);
        using var scope = NewDisposeScope();
        var weight = isQuantized ? TakeQuantized(weightName, outFeatures, inFeatures) : Quantize(weightName, outFeatures, inFeatures);
        var bias = hasBias ? Offset($"{name}.bias", outFeatures) : null;
        if (precision == ModelPrecision.Nf4 && device.type == DeviceType.CPU)
            return new Nf4Linear(weight, bias);
        using (weight)
            return precision == ModelPrecision.Nf4
                ? new Nf4Linear(weight.To(device), bias)
                : new DenseLinear(Keep(weight.Dequantize(ComputeType).to(device), trainable: false), bias);
    }

    /// <summary>Refuses the folder if it lacked a weight, had it in another shape, or has weights the model does not use.</summary>
    /// <param name="mayBeLeft">Names of weights that are known to be unused.</param>
    /// <exception cref="InvalidDataException">It did.</exception>
    public void Finish(Func<string, bool> mayBeLeft)
    {
        var extra = folder.TensorNames.Where(n => !_taken.Contains(n) && !mayBeLeft(n)).Order(StringComparer.Ordinal);
        _problems.AddRange(extra.Select(n => $"'{n}' in {folder.FileOf(n)} is no weight of this architecture"));
        if (_problems.Count == 0)
            return;
        const int shown = 10;
        var rest = _problems.Count > shown ? $"; and {_problems.Count - shown} more" : "";
        throw new InvalidDataException(
            $"{folder.FolderPath}: the weights do not match config.json: {string.Join("; ", _problems.Take(shown))}{rest}. "
            + "Check that both come from the same model.");
    }

    /// <summary>How weights that are not in 4 bits are held, and hidden states computed.</summary>
    public static ScalarType ComputeTypeOf(ModelPrecision precision, DeviceType device) => precision switch
    {
        ModelPrecision.BFloat16 => ScalarType.BFloat16,
        ModelPrecision.Float16 => ScalarType.Float16,
        // libtorch multiplies half-precision numbers on a CPU a thousand times slower than single precision.
        ModelPrecision.Nf4 => device == DeviceType.CPU ? ScalarType.BFloat16 : ScalarType.Float16,
        _ => ScalarType.Float32,
    };

    private Parameter Take(string name, params long[] shape)
    {
        using var scope = NewDisposeScope();
        var weight = Fits(name, shape) ? folder.Load(name, ComputeType) : empty(shape, ComputeType);
        return Keep(weight.to(device), trainable: false);
    }

    private Nf4Weight Quantize(string name, params long[] shape)
    {
        var fits = Fits(name, shape);
        return Nf4Weight.Quantize(shape, ScalarType.Float16, (start, piece) =>
        {
            if (fits)
                folder.Load(name, start, piece);
        });
    }

    /// <summary>Whether the folder has the weight as the configuration wants it; if not, that is noted for the end.</summary>
    private bool Fits(string name, long[] shape)
    {
        _taken.Add(name);
        var entry = folder.Find(name);
        if (entry is null)
            _problems.Add($"'{name}' {Expect.Describe(shape)} is missing");
        else if (!entry.Shape.SequenceEqual(shape))
            _problems.Add($"'{name}' in {folder.FileOf(name)} is {Expect.Describe([.. entry.Shape])}, expected {Expect.Describe(shape)}");
        else if (entry.Type is not (ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float64))
            _problems.Add($"'{name}' in {folder.FileOf(name)} holds {entry.Type}, which are no weights");
        else
            return true;
        return false;
    }

    private Nf4Weight TakeQuantized(string name, params long[] shape)
    {
        _taken.UnionWith(BitsAndBytesTensors.Names(name));
        var weight = BitsAndBytesTensors.Read(folder, name);
        if (!weight.Shape.SequenceEqual(shape))
            _problems.Add(
                $"'{name}' in {folder.FileOf(name)} holds {Expect.Describe([.. weight.Shape])} in 4 bits, expected {Expect.Describe(shape)}");
        return weight;
    }
}
