using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Decoding;

/// <summary>A linear layer with the branch that is on it at the moment, for loops that several threads share.</summary>
internal sealed unsafe class FusedLinear : IDisposable
{
    private readonly WeightRows _weight;
    private readonly Nf4Rows? _integers; // the weight, where whole numbers will do
    private readonly Tensor? _biasNumbers;
    private readonly float* _bias;
    private readonly WeightRows? _down; // A [r, in]
    private readonly WeightRows? _up; // scaling · B [out, r]
    private readonly Tensor? _scaledB;

    /// <param name="layer">With the branch that is on it.</param>
    /// <param name="isExact">Whether 4-bit weights are multiplied as the numbers that they are, rather than rounded to a few bits more than bfloat16.</param>
    public FusedLinear(LinearLayer layer, bool isExact)
    {
        _weight = layer.Rows!;
        _integers = isExact ? null : _weight as Nf4Rows;
        if (layer.Bias is not null)
        {
            _biasNumbers = layer.Bias.to(ScalarType.Float32, copy: true).DetachFromDisposeScope();
            _bias = Memory.Of<float>(_biasNumbers);
        }
        if (layer.Adapter is not { } branch)
            return;
        using var noGrad = no_grad();
        _down = WeightRows.Of(branch.A);
        _scaledB = branch.B.mul(branch.Scaling).DetachFromDisposeScope();
        _up = WeightRows.Of(_scaledB);
    }

    public int Inputs => _weight.Inputs;

    public int Outputs => _weight.Outputs;

    /// <summary>r, or 0 where there is no branch.</summary>
    public int Rank => _down?.Outputs ?? 0;

    /// <summary>A part's share of y += x·Wᵀ + b and of A·x.</summary>
    /// <param name="part">Which of the parts.</param>
    /// <param name="parts">How many there are.</param>
    /// <param name="x">[rows, in]</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="y">[rows, out]</param>
    /// <param name="low">[rows, r]; overwritten.</param>
    /// <param name="room">The part's own, for <see cref="IntegerProducts.RoomFor"/> numbers.</param>
    /// <param name="overwrite">Whether what y holds does not count.</param>
    public void Multiply(int part, int parts, float* x, int rows, float* y, float* low, short* room, bool overwrite)
    {
        var (first, end) = Share(part, parts, Outputs);
        for (var row = 0; row < rows; row++)
        {
            var count = end - first;
            var to = y + ((long)row * Outputs) + first;
            if (overwrite)
                new Span<float>(to, count).Clear();
            for (var i = 0; _bias != null && i < count; i++)
                to[i] += _bias[first + i];
        }
        if (_integers is not null)
            IntegerProducts.Add(x, rows, _integers, y, first, end, room);
        else
            RowProducts.Add(x, rows, _weight, y, first, end);
        if (_down is null)
            return;
        var (firstLow, endLow) = Share(part, parts, Rank);
        for (var row = 0; row < rows; row++)
            new Span<float>(low + ((long)row * Rank) + firstLow, endLow - firstLow).Clear();
        RowProducts.Add(x, rows, _down, low, firstLow, endLow);
    }

    /// <summary>A part's share of y += scaling · B·low; all parts of <see cref="Multiply"/> are done.</summary>
    public void AddBranch(int part, int parts, float* low, int rows, float* y)
    {
        if (_up is null)
            return;
        var (first, end) = Share(part, parts, Outputs);
        RowProducts.Add(low, rows, _up, y, first, end);
    }

    /// <summary>The outputs of a part, in whole groups: a cut elsewhere would leave two parts with half a group each.</summary>
    public static (int First, int End) Share(int part, int parts, int outputs)
    {
        var groups = (outputs + RowProducts.Group - 1) / RowProducts.Group;
        return (Cut(part), Cut(part + 1));

        int Cut(int place) => Math.Min(outputs, (int)((long)groups * place / parts) * RowProducts.Group);
    }

    public void Dispose()
    {
        _scaledB?.Dispose();
        _biasNumbers?.Dispose();
    }
}
