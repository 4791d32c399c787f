using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// Keys and values of the tokens a batch has seen, so that the next token costs one token's work. Memory for
/// <c>maxLength</c> columns is reserved at the first pass and written in place. For generation only: it records no gradients.
/// </summary>
public sealed class KvCache : IDisposable
{
    private readonly int _maxLength;
    private readonly List<(Tensor Keys, Tensor Values)> _layers = []; // [B, KV heads, max, D] each

    /// <param name="maxLength">Columns that fit: prompt and response.</param>
    public KvCache(int maxLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLength);
        _maxLength = maxLength;
    }

    /// <summary>Columns seen so far.</summary>
    public int Length { get; private set; }

    /// <summary>Keeps some rows of the batch, in the order given; the others have ended.</summary>
    /// <param name="rows">[rows that go on] int64</param>
    public void KeepRows(Tensor rows)
    {
        using var noGrad = no_grad();
        for (var i = 0; i < _layers.Count; i++)
        {
            var (keys, values) = _layers[i];
            _layers[i] = (Select(keys, rows), Select(values, rows));
            keys.Dispose();
            values.Dispose();
        }
    }

    public void Dispose()
    {
        foreach (var (keys, values) in _layers)
        {
            keys.Dispose();
            values.Dispose();
        }
        _layers.Clear();
    }

    /// <summary>Refuses a pass that would not fit, before it changes anything.</summary>
    internal void CheckRoom(long batch, long length)
    {
        if (is_grad_enabled())
            throw new InvalidOperationException("A KvCache is for generation: call the model within torch.no_grad().");
        if (Length + length > _maxLength)
            throw new InvalidOperationException($"The cache holds {_maxLength} columns: {length} more do not fit after {Length}.");
        if (_layers.Count > 0 && _layers[0].Keys.shape[0] != batch)
            throw new ArgumentException($"The cache holds {_layers[0].Keys.shape[0]} rows, the batch has {batch}: call KeepRows first.");
    }

    /// <summary>Writes new columns of a layer and returns all of them; <see cref="Advance"/> follows after the last layer.</summary>
    /// <param name="layer">0, 1, ….</param>
    /// <param name="keys">[B, KV heads, T, D]</param>
    /// <param name="values">[B, KV heads, T, D]</param>
    /// <returns>Views [B, KV heads, S, D], for the caller to dispose.</returns>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        if (layer == _layers.Count)
            _layers.Add((Reserve(keys, keys.shape[0]), Reserve(values, keys.shape[0])));
        var (allKeys, allValues) = _layers[layer];
        var length = keys.shape[2];
        using (var newKeys = allKeys.narrow(2, Length, length))
            newKeys.copy_(keys).Dispose();
        using (var newValues = allValues.narrow(2, Length, length))
            newValues.copy_(values).Dispose();
        return (allKeys.narrow(2, 0, Length + length), allValues.narrow(2, 0, Length + length));
    }

    internal void Advance(long length) => Length += (int)length;

    private Tensor Select(Tensor columns, Tensor rows)
    {
        using var scope = NewDisposeScope();
        var kept = Reserve(columns, rows.shape[0]);
        kept.narrow(2, 0, Length).copy_(columns.narrow(2, 0, Length).index_select(0, rows));
        return kept;
    }

    private Tensor Reserve(Tensor like, long batch) =>
        empty([batch, like.shape[1], _maxLength, like.shape[3]], like.dtype, like.device).DetachFromDisposeScope();
}
