using System.Runtime.InteropServices;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Decoding;

/// <summary>
/// A Llama on a CPU that is fed tokens and tells what may come next: fused loops in float32 over the model's own weights, adapter
/// included, without a tensor an operation. A token's numbers depend on its own sequence alone, to the last bit: not on those fed
/// beside it, nor on how many threads there are. Weights and adapter must not change meanwhile.
/// </summary>
internal sealed unsafe class FusedLlama : IDisposable
{
    /// <summary>Tokens that a pass over the weights serves: as many as the second cache holds while a weight passes by.</summary>
    public const int MaxRows = 64;

    private readonly LlamaConfig _config;
    private readonly Tensor _embedding; // [V, H]
    private readonly FusedLayer[] _layers;
    private readonly WeightRows _head;
    private readonly float* _finalNorm;
    private readonly float* _cosine; // [positions, D]
    private readonly float* _sine; // [positions, D], of the second half of a head
    private readonly ThreadTeam _team;
    private readonly SequenceCache?[] _sequences;
    private readonly int[] _capacities;

    private readonly float* _x; // [rows, H]
    private readonly float*[] _normed; // [rows, H] for each thread
    private readonly float* _q; // [rows, heads · D]
    private readonly float* _k; // [rows, KV heads · D]
    private readonly float* _v; // [rows, KV heads · D]
    private readonly float* _attended; // [rows, heads · D]
    private readonly float* _gate; // [rows, I]
    private readonly float* _up; // [rows, I]
    private readonly float*[] _low; // [rows, r], three at a time
    private readonly short*[] _rooms; // for each thread, see IntegerProducts
    private readonly float*[] _weights; // [positions] for each thread
    private readonly Tensor _logits; // [rows, V]
    private readonly float* _firstLogit;
    private readonly float* _states; // [rows, H]
    private readonly List<nint> _memory = [];

    private readonly SequenceCache[] _sequenceOf = new SequenceCache[MaxRows];
    private readonly int[] _positionOf = new int[MaxRows];
    private int _rows;
    private int _wanted;

    /// <param name="model">With its adapter on or off; one that <see cref="CanRun"/>.</param>
    /// <param name="capacities">How many tokens each sequence will have at most.</param>
    /// <param name="threads">That share the work.</param>
    public FusedLlama(LlamaForCausalLm model, IReadOnlyList<int> capacities, int threads)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _config = model.Config;
        _embedding = model.Decoder.EmbeddingWeight;
        _layers = [.. model.Decoder.Blocks.Select(block => new FusedLayer(block, model.ComputeType == ScalarType.Float32, norm => (nint)Keep(norm)))];
        _head = model.HeadRows!;
        _finalNorm = Keep(model.Decoder.NormWeight);
        _capacities = [.. capacities];
        _sequences = new SequenceCache?[_capacities.Length];
        var longest = _capacities.Max();
        var (cosine, sine) = model.Decoder.Rotary.At(null, 0, longest); // [1, T, 1, D] each
        _cosine = Keep(cosine);
        _sine = Keep(sine);
        _team = new ThreadTeam(threads);

        var (hidden, all, shared) = (_config.HiddenSize, _config.Heads * _config.HeadSize, _config.KeyValueHeads * _config.HeadSize);
        _x = Room(hidden);
        _normed = Each(threads, MaxRows * hidden);
        _q = Room(all);
        _k = Room(shared);
        _v = Room(shared);
        _attended = Room(all);
        _gate = Room(_config.IntermediateSize);
        _up = Room(_config.IntermediateSize);
        var rank = Math.Max(1, _layers.Max(layer => layer.LargestRank));
        _low = Each(3, MaxRows * rank);
        _rooms = new short*[threads];
        for (var part = 0; part < threads; part++)
            _rooms[part] = (short*)Allocate((IntegerProducts.RoomFor(MaxRows, Math.Max(all, _config.IntermediateSize)) + 1) / 2);
        _weights = Each(threads, longest + SequenceCache.Block);
        _logits = empty(MaxRows, _config.VocabularySize).DetachFromDisposeScope();
        _firstLogit = Memory.Of<float>(_logits);
        _states = Room(hidden);
    }

    /// <summary>What comes after the wanted tokens of the chunk just fed. [wanted, V]; overwritten by the next.</summary>
    public Tensor Logits => _logits.narrow(0, 0, _wanted);

    /// <summary>Whether a model's weights are on the CPU and of types that the loops read.</summary>
    public static bool CanRun(LlamaForCausalLm model) =>
        model.HeadRows is not null && model.Projections().All(p => p.Layer.Rows is not null)
        && WeightRows.CanRead(model.Decoder.EmbeddingWeight);

    /// <summary>What comes after a wanted token of the chunk just fed.</summary>
    public ReadOnlySpan<float> LogitsOf(int wanted) =>
        new(_firstLogit + ((long)wanted * _config.VocabularySize), _config.VocabularySize);

    /// <summary>The state behind the final norm at a wanted token of the chunk just fed.</summary>
    public ReadOnlySpan<float> StateOf(int wanted) => new(_states + ((long)wanted * _config.HiddenSize), _config.HiddenSize);

    /// <summary>Puts tokens at the ends of their sequences, in order.</summary>
    /// <param name="tokens">Any number, of any sequences.</param>
    /// <param name="onChunk">
    /// Told after each chunk, while its numbers can be read: the place of its first wanted token among all wanted ones, and how many
    /// there are.
    /// </param>
    public void Feed(IReadOnlyList<FedToken> tokens, Action<int, int> onChunk)
    {
        var done = 0;
        for (var first = 0; first < tokens.Count; first += MaxRows)
        {
            _rows = Math.Min(MaxRows, tokens.Count - first);
            _wanted = 0;
            for (var row = 0; row < _rows; row++)
            {
                var sequence = SequenceAt(tokens[first + row].Sequence);
                (_sequenceOf[row], _positionOf[row]) = (sequence, sequence.Length++);
                Embed(tokens[first + row].Token, _x + ((long)row * _config.HiddenSize));
            }
            _team.Run(RunLayers);
            for (var row = 0; row < _rows; row++)
                if (tokens[first + row].IsWanted)
                    Norm(row, _finalNorm, _states + ((long)_wanted++ * _config.HiddenSize));
            if (_wanted == 0)
                continue;
            _team.Run(RunHead);
            onChunk(done, _wanted);
            done += _wanted;
        }
    }

    /// <summary>Lets a sequence begin with the first tokens that another has seen.</summary>
    public void Fork(int from, int to, int length) => SequenceAt(to).CopyFrom(_sequences[from]!, _layers.Length, length);

    /// <summary>Gives a sequence's memory back.</summary>
    public void End(int sequence)
    {
        _sequences[sequence]?.Dispose();
        _sequences[sequence] = null;
    }

    public void Dispose()
    {
        _team.Dispose();
        for (var i = 0; i < _sequences.Length; i++)
            End(i);
        foreach (var layer in _layers)
            layer.Dispose();
        foreach (var memory in _memory)
            NativeMemory.AlignedFree((void*)memory);
        _logits.Dispose();
    }

    private SequenceCache SequenceAt(int sequence) => _sequences[sequence] ??= new SequenceCache(
        _layers.Length, _config.KeyValueHeads, _config.HeadSize, _capacities[sequence]);

    private void RunLayers(int part)
    {
        for (var layer = 0; layer < _layers.Length; layer++)
        {
            Attention(part, layer, _layers[layer]);
            Mlp(part, _layers[layer]);
        }
    }

    private void Attention(int part, int number, FusedLayer layer)
    {
        var normed = Normed(part, layer.AttentionNorm);
        layer.Query.Multiply(part, _team.Size, normed, _rows, _q, _low[0], _rooms[part], overwrite: true);
        layer.Key.Multiply(part, _team.Size, normed, _rows, _k, _low[1], _rooms[part], overwrite: true);
        layer.Value.Multiply(part, _team.Size, normed, _rows, _v, _low[2], _rooms[part], overwrite: true);
        _team.Meet();
        if (layer.Query.Rank + layer.Key.Rank + layer.Value.Rank > 0)
        {
            layer.Query.AddBranch(part, _team.Size, _low[0], _rows, _q);
            layer.Key.AddBranch(part, _team.Size, _low[1], _rows, _k);
            layer.Value.AddBranch(part, _team.Size, _low[2], _rows, _v);
            _team.Meet();
        }
        for (var head = part; head < _config.KeyValueHeads; head += _team.Size)
            Attend(part, number, layer, head);
        _team.Meet();
        AddProduct(part, layer.Output, _attended);
    }

    private void Mlp(int part, FusedLayer layer)
    {
        var normed = Normed(part, layer.MlpNorm);
        layer.Gate.Multiply(part, _team.Size, normed, _rows, _gate, _low[0], _rooms[part], overwrite: true);
        layer.Up.Multiply(part, _team.Size, normed, _rows, _up, _low[1], _rooms[part], overwrite: true);
        if (layer.Gate.Rank + layer.Up.Rank > 0)
        {
            _team.Meet();
            layer.Gate.AddBranch(part, _team.Size, _low[0], _rows, _gate);
            layer.Up.AddBranch(part, _team.Size, _low[1], _rows, _up);
        }
        var width = _config.IntermediateSize;
        var (first, end) = FusedLinear.Share(part, _team.Size, width);
        for (var row = 0; row < _rows; row++)
            FusedMaths.Gate(_gate + ((long)row * width) + first, _up + ((long)row * width) + first, end - first);
        _team.Meet();
        AddProduct(part, layer.Down, _gate);
    }

    /// <summary>x += layer(input)</summary>
    private void AddProduct(int part, FusedLinear layer, float* input)
    {
        layer.Multiply(part, _team.Size, input, _rows, _x, _low[0], _rooms[part], overwrite: false);
        _team.Meet();
        if (layer.Rank == 0)
            return;
        layer.AddBranch(part, _team.Size, _low[0], _rows, _x);
        _team.Meet();
    }

    /// <summary>All rows, in memory of the part's own: cheaper than to wait for the others.</summary>
    private float* Normed(int part, float* weight)
    {
        for (var row = 0; row < _rows; row++)
            Norm(row, weight, _normed[part] + ((long)row * _config.HiddenSize));
        return _normed[part];
    }

    /// <summary>One head of keys and values, and the query heads that share it: all rows are written before any is read.</summary>
    private void Attend(int part, int number, FusedLayer layer, int head)
    {
        var size = _config.HeadSize;
        var (heads, keyValueHeads) = (_config.Heads, _config.KeyValueHeads);
        var group = heads / keyValueHeads;
        for (var row = 0; row < _rows; row++)
        {
            var key = _k + ((((long)row * keyValueHeads) + head) * size);
            Turn(key, layer.KeyNorm, row);
            _sequenceOf[row].Write(number, head, _positionOf[row], key, _v + ((((long)row * keyValueHeads) + head) * size));
        }
        for (var row = 0; row < _rows; row++)
        {
            var (keys, values) = ((nint)_sequenceOf[row].Keys(number, head), (nint)_sequenceOf[row].Values(number, head));
            for (var i = 0; i < group; i++)
            {
                var place = (((long)row * heads) + (head * group) + i) * size;
                Turn(_q + place, layer.QueryNorm, row);
                FusedAttention.Attend(
                    _q + place, (float*)keys, (float*)values, _positionOf[row] + 1, size, _weights[part], _attended + place);
            }
        }
    }

    private void RunHead(int part)
    {
        var (first, end) = FusedLinear.Share(part, _team.Size, _config.VocabularySize);
        for (var row = 0; row < _wanted; row++)
            new Span<float>(_firstLogit + ((long)row * _config.VocabularySize) + first, end - first).Clear();
        RowProducts.Add(_states, _wanted, _head, _firstLogit, first, end);
    }

    private void Embed(int token, float* x)
    {
        var size = _config.HiddenSize;
        if (_embedding.dtype == ScalarType.Float32)
        {
            new ReadOnlySpan<float>(Memory.Of<float>(_embedding) + ((long)token * size), size).CopyTo(new Span<float>(x, size));
            return;
        }
        var row = Memory.Of<ushort>(_embedding) + ((long)token * size);
        for (var i = 0; i < size; i++)
            x[i] = BitConverter.UInt32BitsToSingle((uint)row[i] << 16);
    }

    private void Norm(int row, float* weight, float* y) =>
        FusedMaths.Norm(_x + ((long)row * _config.HiddenSize), weight, _config.HiddenSize, _config.RmsNormEpsilon, y);

    /// <summary>One head to its position, normalised where there is a norm.</summary>
    private void Turn(float* x, float* norm, int row)
    {
        if (norm != null)
            FusedMaths.Norm(x, norm, _config.HeadSize, _config.RmsNormEpsilon, x);
        var place = (long)_positionOf[row] * _config.HeadSize;
        FusedMaths.Rotate(x, _config.HeadSize, _cosine + place, _sine + place);
    }

    private float* Keep(Tensor numbers)
    {
        var single = numbers.to(ScalarType.Float32).contiguous();
        var copy = Allocate((int)numbers.numel());
        new ReadOnlySpan<float>(Memory.Of<float>(single), (int)numbers.numel()).CopyTo(new Span<float>(copy, (int)numbers.numel()));
        return copy;
    }

    private float*[] Each(int count, int length)
    {
        var memories = new float*[count];
        for (var i = 0; i < count; i++)
            memories[i] = Allocate(length);
        return memories;
    }

    private float* Room(int width) => Allocate(MaxRows * width);

    private float* Allocate(int count)
    {
        var memory = NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
        _memory.Add((nint)memory);
        return (float*)memory;
    }
}
