using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// A Llama language model (Touvron et al., arXiv:2302.13971), computing what transformers' class of the same name does in
/// evaluation mode. Shapes: B batch, T new tokens, S cached and new tokens, H hidden size, V vocabulary.
/// </summary>
public sealed class LlamaForCausalLm : nn.Module
{
    [ComponentName(Name = "model")]
    private readonly LlamaDecoder _decoder;

    [ComponentName(Name = "lm_head")]
    private readonly LinearLayer? _head;

    /// <summary>A model with random trainable weights in float32, to be pre-trained: N(0, initializer_range²) for every matrix.</summary>
    /// <param name="config">The shape.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public LlamaForCausalLm(LlamaConfig config, ulong seed = 0)
        : this(config, new RandomWeights(config.InitializerRange, new Generator(seed, CPU)))
    {
    }

    internal LlamaForCausalLm(LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaForCausalLm))
    {
        config.Validate(nameof(LlamaConfig));
        Config = config;
        Device = weights.Device;
        ComputeType = weights.ComputeType;
        _decoder = new LlamaDecoder(config, weights);
        // An output layer tied to the embedding has no weights of its own.
        _head = config.TieWordEmbeddings
            ? null
            : weights.Linear("lm_head", config.HiddenSize, config.VocabularySize, false, canBeQuantized: false);
        RegisterComponents();
        if (Projections().Sum(p => p.Layer.InFeatures * p.Layer.OutFeatures) > 100_000_000)
            Memory.ReturnLargeBlocks();
    }

    public LlamaConfig Config { get; }

    /// <summary>Where the weights are.</summary>
    public Device Device { get; }

    /// <summary>The type in which hidden states are computed.</summary>
    public ScalarType ComputeType { get; }

    /// <summary>What the blocks keep of a token for the way back.</summary>
    internal long KeptBytesPerToken =>
        2L * Config.Layers * (Config.HiddenSize + ((Config.Heads + Config.KeyValueHeads) * Config.HeadSize) + Config.IntermediateSize)
        * (ComputeType == ScalarType.Float32 ? 4 : 2) * (_decoder.CanFuse ? 1 : 4); // single operations keep about four times as much

    /// <summary>What they keep of a token where they keep their inputs only.</summary>
    internal long InputBytesPerToken => (long)Config.Layers * Config.HiddenSize * (ComputeType == ScalarType.Float32 ? 4 : 2);

    internal LlamaDecoder Decoder => _decoder;

    /// <summary>The output layer's weight as fused loops read it; null where they cannot.</summary>
    internal WeightRows? HeadRows => _head is not null ? _head.Rows
        : WeightRows.CanRead(_decoder.EmbeddingWeight) ? WeightRows.Of(_decoder.EmbeddingWeight) : null;

    /// <summary>The linear layers an adapter can go on, sorted by name (model.layers.0.self_attn.q_proj): all but the output.</summary>
    public IReadOnlyList<(string Name, LinearLayer Layer)> Projections() =>
        [.. named_modules().Where(m => m.module is LinearLayer && m.name != "lm_head")
            .Select(m => (m.name, (LinearLayer)m.module)).OrderBy(p => p.name, StringComparer.Ordinal)];

    /// <summary>Loads a model folder as transformers saves it; the weights are frozen.</summary>
    /// <param name="folder">config.json and model.safetensors, or shards with their index.</param>
    /// <param name="precision">How weights are held.</param>
    /// <param name="device">Null: the CPU.</param>
    /// <param name="computeType">
    /// Of the hidden states, and of what is not in 4 bits, for NF4 on a CPU: float32, or bfloat16 where null. Elsewhere they have the
    /// weights' own type (NF4: float16).
    /// </param>
    /// <exception cref="InvalidDataException">A file is missing, damaged or a pickle, or the weights do not fit the configuration.</exception>
    public static LlamaForCausalLm Load(string folder, ModelPrecision precision = ModelPrecision.Float32, Device? device = null, ScalarType? computeType = null)
    {
        using var files = HuggingFaceFolder.Open(folder);
        var config = LlamaConfig.Load(folder);
        var weights = new FolderWeights(files, precision, device ?? CPU, computeType);
        var model = new LlamaForCausalLm(config, weights);
        try
        {
            // Old checkpoints hold the rotary frequencies, and some tied ones the output layer once more.
            weights.Finish(name => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
                || (config.TieWordEmbeddings && name == "lm_head.weight"));
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Another model of the same frozen weights, which may have an adapter of its own: whatever their number, the weights are in memory
    /// once, until the last of the models is disposed.
    /// </summary>
    public LlamaForCausalLm Share()
    {
        SharesWeights = true;
        return new LlamaForCausalLm(Config, new SharedWeights(this)) { SharesWeights = true };
    }

    /// <summary>Whether others may compute with the same weights, so that they must stay as they are.</summary>
    internal bool SharesWeights { get; private set; }

    /// <summary>The hidden states after the final norm.</summary>
    /// <param name="inputIds">[B, T] int64</param>
    /// <param name="positions">[B, T] or [1, T] int64; null: 0 … T−1, after what is cached.</param>
    /// <param name="isRealToken">
    /// [B, S] bool over cached and new columns; null: all real. Without it attention is plainly causal, which is also right for a
    /// batch padded on the right: its real tokens never see a pad.
    /// </param>
    /// <param name="cache">Earlier columns; the new ones are added. Only within no_grad.</param>
    /// <returns>[B, T, H], of the model's type.</returns>
    /// <exception cref="ArgumentException">A shape does not fit, or a position lies outside the context.</exception>
    /// <exception cref="InvalidOperationException">The cache is full, or gradients are being recorded.</exception>
    public Tensor Hidden(Tensor inputIds, Tensor? positions = null, Tensor? isRealToken = null, KvCache? cache = null)
    {
        Expect.Shape(inputIds, [Expect.Any, Expect.Any]);
        var (b, t) = (inputIds.shape[0], inputIds.shape[1]);
        if (positions is not null)
            Expect.Shape(positions, [positions.shape[0] == 1 ? 1 : b, t]);
        if (isRealToken is not null)
        {
            Expect.Shape(isRealToken, [b, (cache?.Length ?? 0) + t]);
            Expect.Type(isRealToken, ScalarType.Bool);
        }
        return _decoder.Hidden(inputIds, positions, isRealToken, cache);
    }

    /// <summary>The hidden states after the final norm at some positions alone, for which the last block does nothing but what they need.</summary>
    /// <param name="inputIds">[B, T] int64, padded on the right.</param>
    /// <param name="places">Places in the flattened [B · T], as many of each row, row after row. [B · R] int64</param>
    /// <param name="recomputes">
    /// Whether blocks keep nothing for the way back but their input, and compute there once more what they need (Chen et al.,
    /// arXiv:1604.06174): a third more time, and the memory of one block instead of all.
    /// </param>
    /// <returns>[B, R, H], of the model's type.</returns>
    public Tensor HiddenAt(Tensor inputIds, Tensor places, bool recomputes = false)
    {
        Expect.Shape(inputIds, [Expect.Any, Expect.Any]);
        Expect.Shape(places, [Expect.Any]);
        return _decoder.HiddenAt(inputIds, places, recomputes && is_grad_enabled());
    }

    /// <summary>
    /// The hidden states after the final norm, where what each token sees is spelled out: several continuations of one prompt in
    /// one row, say, none of which sees another.
    /// </summary>
    /// <param name="inputIds">[B, T] int64</param>
    /// <param name="positions">[B, T] int64</param>
    /// <param name="isVisible">[B, T, T] bool: whether the token of a row sees that of a column; each sees at least itself.</param>
    /// <returns>[B, T, H], of the model's type.</returns>
    /// <exception cref="ArgumentException">A shape does not fit, or a position lies outside the context.</exception>
    public Tensor HiddenSeeing(Tensor inputIds, Tensor positions, Tensor isVisible)
    {
        Expect.Shape(inputIds, [Expect.Any, Expect.Any]);
        var (b, t) = (inputIds.shape[0], inputIds.shape[1]);
        Expect.Shape(positions, [b, t]);
        Expect.Shape(isVisible, [b, t, t]);
        Expect.Type(isVisible, ScalarType.Bool);
        return _decoder.HiddenSeeing(inputIds, positions, isVisible);
    }

    /// <summary>The scores of the next token.</summary>
    /// <param name="hidden">[..., H]</param>
    /// <returns>[..., V] float32, whatever the model's type.</returns>
    public Tensor Logits(Tensor hidden)
    {
        var logits = _head is null ? nn.functional.linear(hidden, _decoder.EmbeddingWeight) : _head.forward(hidden);
        if (logits.dtype == ScalarType.Float32)
            return logits;
        using (logits)
            return logits.to(ScalarType.Float32);
    }
}
