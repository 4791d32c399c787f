using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// Rotary positions: pair (i, i + D/2) of a head turns by position · θ^(−2i/D) (Su et al., arXiv:2104.09864, in the layout of
/// transformers' Llama). Sines and cosines are computed once, in float32, for every position of the context.
/// </summary>
internal sealed class RotaryEmbedding : IDisposable
{
    // A context of 128 thousand positions would cost 134 MB; few texts come near it.
    private const int FirstRows = 8192;

    private static readonly Scalar One = 1.ToScalar();

    private readonly LlamaConfig _config;
    private readonly ScalarType _type;
    private readonly Device _device;
    private readonly Lock _growing = new();
    private readonly List<Tables> _outgrown = []; // which other threads may still read
    private volatile Tables _tables;

    public RotaryEmbedding(LlamaConfig config, ScalarType type, Device device)
    {
        (_config, _type, _device) = (config, type, device);
        _tables = BuildTables(Math.Min(config.ContextLength, FirstRows));
    }

    /// <summary>The rotations of a batch of positions.</summary>
    /// <param name="positions">[B, T] or [1, T] int64; null: <paramref name="first"/>, first + 1, ….</param>
    /// <param name="first">Position of the first column when no positions are given.</param>
    /// <param name="length">T.</param>
    /// <returns>Cosines and signed sines [B or 1, T, 1, D].</returns>
    /// <exception cref="ArgumentOutOfRangeException">A position lies outside the model's context.</exception>
    public (Tensor Cosine, Tensor SignedSine) At(Tensor? positions, long first, long length)
    {
        if (positions is null)
        {
            if (first + length > _config.ContextLength)
                throw OutsideContext($"Position {first + length - 1}");
            var tables = WithRows(first + length);
            var shape = new[] { 1, length, 1, _config.HeadSize };
            return (tables.Cosine.narrow(0, first, length).view(shape), tables.SignedSine.narrow(0, first, length).view(shape));
        }
        var (cosine, signedSine, _) = WithRows(_tables.Rows < _config.ContextLength ? positions.max().ToInt64() + 1 : 0);
        var flat = positions.reshape(-1);
        var rows = new[] { positions.shape[0], length, 1, _config.HeadSize };
        try
        {
            return (cosine.index_select(0, flat).view(rows), signedSine.index_select(0, flat).view(rows));
        }
        catch (System.Runtime.InteropServices.ExternalException e)
        {
            throw OutsideContext("A position", e);
        }
    }

    /// <summary>Turns queries or keys.</summary>
    /// <param name="x">[B, T, heads, D]</param>
    /// <param name="cosine">[B or 1, T, 1, D]</param>
    /// <param name="signedSine">[B or 1, T, 1, D]</param>
    /// <returns>[B, T, heads, D]; its intermediates belong to the caller's scope.</returns>
    public static Tensor Rotate(Tensor x, Tensor cosine, Tensor signedSine) =>
        x.mul(cosine).addcmul_(x.roll(x.shape[3] / 2, -1), signedSine, One);

    public void Dispose()
    {
        foreach (var (cosine, signedSine, _) in (Tables[])[.. _outgrown, _tables])
        {
            cosine.Dispose();
            signedSine.Dispose();
        }
    }

    /// <summary>Tables of at least so many rows, as far as the context goes.</summary>
    private Tables WithRows(long rows)
    {
        if (rows <= _tables.Rows || rows > _config.ContextLength)
            return _tables;
        lock (_growing)
        {
            if (rows > _tables.Rows)
            {
                _outgrown.Add(_tables);
                _tables = BuildTables(Math.Min(_config.ContextLength, Math.Max(rows, 2 * _tables.Rows)));
            }
            return _tables;
        }
    }

    private ArgumentOutOfRangeException OutsideContext(string what, Exception? inner = null) => new(
        $"{what} lies outside the model's context of {_config.ContextLength} positions: shorten the prompt or the response.", inner);

    private Tables BuildTables(long rows)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var frequencies = Frequencies(); // [D/2]
        var angles = outer(arange(rows, ScalarType.Float32), frequencies); // [rows, D/2]
        var (cosine, sine) = (angles.cos(), angles.sin());
        var cosines = cat([cosine, cosine], 1).to(_type, _device);
        var signedSines = cat([-sine, sine], 1).to(_type, _device);
        return new(cosines.DetachFromDisposeScope(), signedSines.DetachFromDisposeScope(), rows);
    }

    private Tensor Frequencies()
    {
        var exponents = arange(0, _config.HeadSize, 2, ScalarType.Float32) / _config.HeadSize;
        var frequencies = 1 / pow(tensor((float)_config.RopeTheta), exponents); // [D/2]
        if (_config.RopeScaling is not { } scaling)
            return frequencies;
        var stretched = frequencies / scaling.Factor;
        if (scaling.Bands is not { } bands)
            return stretched;
        var turns = bands.OriginalContextLength / (2 * Math.PI / frequencies); // turns within the original context
        var kept = ((turns - bands.LowFrequencyFactor) / (bands.HighFrequencyFactor - bands.LowFrequencyFactor)).clamp(0, 1);
        return ((1 - kept) * stretched) + (kept * frequencies);
    }

    /// <summary>What each position turns by.</summary>
    /// <param name="Cosine">[rows, D]</param>
    /// <param name="SignedSine">[rows, D]: the first half negated, so that a rotation of halves needs no sign.</param>
    /// <param name="Rows">Positions.</param>
    private sealed record Tables(Tensor Cosine, Tensor SignedSine, long Rows);
}
