using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// A RoBERTa text classifier (Liu et al., arXiv:1907.11692), computing what transformers' class of the same name does in
/// evaluation mode. Shapes: B texts, T tokens.
/// </summary>
public sealed class RobertaForSequenceClassification : nn.Module
{
    [ComponentName(Name = "roberta")]
    private readonly Encoder _encoder;

    [ComponentName(Name = "classifier")]
    private readonly Classifier _classifier;

    /// <summary>A classifier with random trainable weights in float32.</summary>
    /// <param name="config">The shape.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public RobertaForSequenceClassification(RobertaConfig config, ulong seed = 0)
        : this(config, new RandomWeights(config.InitializerRange, new Generator(seed, CPU)))
    {
    }

    internal RobertaForSequenceClassification(RobertaConfig config, WeightSource weights)
        : base(nameof(RobertaForSequenceClassification))
    {
        config.Validate(nameof(RobertaConfig));
        Config = config;
        Device = weights.Device;
        _encoder = new Encoder(config, weights);
        _classifier = new Classifier(config, weights);
        RegisterComponents();
    }

    public RobertaConfig Config { get; }

    /// <summary>Where the weights are.</summary>
    public Device Device { get; }

    /// <summary>Loads a model folder as transformers saves it, in float32; the weights are frozen.</summary>
    /// <param name="folder">config.json and model.safetensors, or shards with their index.</param>
    /// <param name="device">Null: the CPU.</param>
    /// <exception cref="InvalidDataException">A file is missing, damaged or a pickle, or the weights do not fit the configuration.</exception>
    public static RobertaForSequenceClassification Load(string folder, Device? device = null)
    {
        using var files = HuggingFaceFolder.Open(folder);
        var weights = new FolderWeights(files, ModelPrecision.Float32, device ?? CPU);
        var model = new RobertaForSequenceClassification(RobertaConfig.Load(folder), weights);
        try
        {
            // A classifier does not use the pooler; old checkpoints hold the numbers 0, 1, … of the positions.
            weights.Finish(name => name.StartsWith("roberta.pooler.", StringComparison.Ordinal)
                || name == "roberta.embeddings.position_ids");
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The scores of the labels, neither normalised nor sorted.</summary>
    /// <param name="inputIds">[B, T] int64, each row beginning with the begin token</param>
    /// <param name="isRealToken">[B, T] bool</param>
    /// <returns>[B, labels] float32</returns>
    /// <exception cref="ArgumentException">A shape does not fit, or the texts are longer than the model can read.</exception>
    public Tensor Logits(Tensor inputIds, Tensor isRealToken)
    {
        Expect.Shape(inputIds, [Expect.Any, Expect.Any]);
        Expect.Shape(isRealToken, inputIds.shape);
        Expect.Type(isRealToken, ScalarType.Bool);
        Expect.InRange(inputIds.shape[1], 1, Config.MaxLength, "tokens of a text");
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(_classifier.Forward(_encoder.Forward(inputIds, isRealToken)));
    }

    private sealed class Encoder : nn.Module
    {
        [ComponentName(Name = "embeddings")]
        private readonly RobertaEmbeddings _embeddings;

        [ComponentName(Name = "encoder")]
        private readonly Layers _layers;

        public Encoder(RobertaConfig config, WeightSource weights)
            : base(nameof(Encoder))
        {
            _embeddings = new RobertaEmbeddings(config, weights);
            _layers = new Layers(config, weights);
            RegisterComponents();
        }

        public Tensor Forward(Tensor inputIds, Tensor isRealToken)
        {
            var x = _embeddings.Forward(inputIds, isRealToken); // [B, T, H]
            var bias = AttentionBias.Padding(isRealToken, x.dtype); // [B, 1, 1, T]
            return _layers.Forward(x, bias);
        }
    }

    private sealed class Layers : nn.Module
    {
        [ComponentName(Name = "layer")]
        private readonly ModuleList<RobertaLayer> _layers;

        public Layers(RobertaConfig config, WeightSource weights)
            : base(nameof(Layers))
        {
            _layers = new ModuleList<RobertaLayer>(
                [.. Enumerable.Range(0, config.Layers).Select(i => new RobertaLayer(config, weights, i))]);
            RegisterComponents();
        }

        public Tensor Forward(Tensor x, Tensor bias)
        {
            foreach (var layer in _layers)
            {
                var next = layer.Forward(x, bias);
                x.Dispose();
                x = next;
            }
            return x;
        }
    }

    /// <summary>The begin token's state through one hidden layer.</summary>
    private sealed class Classifier : nn.Module
    {
        [ComponentName(Name = "dense")]
        private readonly LinearLayer _dense;

        [ComponentName(Name = "out_proj")]
        private readonly LinearLayer _output;

        public Classifier(RobertaConfig config, WeightSource weights)
            : base(nameof(Classifier))
        {
            _dense = weights.Linear("classifier.dense", config.HiddenSize, config.HiddenSize, true);
            _output = weights.Linear("classifier.out_proj", config.HiddenSize, config.Labels.Count, true);
            RegisterComponents();
        }

        public Tensor Forward(Tensor hidden) => _output.forward(_dense.forward(hidden.select(1, 0)).tanh());
    }
}
