using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// A Llama that scores a text by the state of its last token, as transformers' class of the same name does in evaluation mode: what
/// most published reward models are. Those trained here score by the mean state of the text's tokens, and say so in their
/// configuration; transformers does not know that architecture and will not load it as another. Shapes: B texts, T tokens.
/// </summary>
public sealed class LlamaForSequenceClassification : nn.Module
{
    internal const string ScoreName = "score.weight", MeanArchitecture = "LlamaForMeanStateClassification";
    internal const string PoolingKey = "pooling_mode", MeanPooling = "mean";

    [ComponentName(Name = "model")]
    private readonly LlamaDecoder _decoder;

    [ComponentName(Name = "score")]
    private readonly LinearLayer _score;

    private LlamaForSequenceClassification(LlamaConfig config, ClassifierLabels labels, bool readsMean, WeightSource weights)
        : base(nameof(LlamaForSequenceClassification))
    {
        (Config, Labels, ReadsMean, Device) = (config, labels, readsMean, weights.Device);
        _decoder = new LlamaDecoder(config, weights);
        _score = weights.Linear("score", config.HiddenSize, labels.Names.Count, false, canBeQuantized: false);
        RegisterComponents();
    }

    public LlamaConfig Config { get; }

    /// <summary>What its outputs are.</summary>
    public ClassifierLabels Labels { get; }

    /// <summary>Whether the mean of the text's states is scored instead of the last one's.</summary>
    public bool ReadsMean { get; }

    /// <summary>Where the weights are.</summary>
    public Device Device { get; }

    /// <summary>Loads a model folder as transformers saves it, in float32; the weights are frozen.</summary>
    /// <exception cref="InvalidDataException">A file is missing, damaged or a pickle, or the weights do not fit the configuration.</exception>
    public static LlamaForSequenceClassification Load(string folder, Device? device = null)
    {
        using var files = HuggingFaceFolder.Open(folder);
        var weights = new FolderWeights(files, ModelPrecision.Float32, device ?? CPU);
        var file = files.Config();
        var model = new LlamaForSequenceClassification(Read(file), ClassifierLabels.Read(file), file.Text(PoolingKey) == MeanPooling, weights);
        try
        {
            weights.Finish(_ => false);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The labels of a Llama classifier's configuration.</summary>
    /// <exception cref="InvalidDataException">The configuration is not a Llama classifier's, or has something this code does not compute.</exception>
    public static ClassifierLabels ReadLabels(ConfigFile config)
    {
        if (config.Find("architectures") is { } names && !names.ToString().Contains("Classification", StringComparison.Ordinal))
            throw config.Wrong("architectures", names, "a sequence classifier's, such as LlamaForSequenceClassification; this is a language model");
        Read(config);
        return ClassifierLabels.Read(config);
    }

    /// <summary>The scores of the labels, neither normalised nor sorted.</summary>
    /// <param name="inputIds">[B, T] int64, padded on the right.</param>
    /// <param name="pooling">What each token's state counts; a row's sum is one. [B, T] float32</param>
    /// <returns>[B, labels] float32</returns>
    public Tensor Logits(Tensor inputIds, Tensor pooling)
    {
        Expect.Shape(inputIds, [Expect.Any, Expect.Any]);
        Expect.Shape(pooling, inputIds.shape);
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(_score.forward(Pool(_decoder.Hidden(inputIds, null, null, null), pooling)));
    }

    /// <summary>Σ_t w_t h_t. [B, T, H], [B, T] → [B, H]</summary>
    internal static Tensor Pool(Tensor hidden, Tensor pooling) => pooling.unsqueeze(1).matmul(hidden).squeeze(1);

    private static LlamaConfig Read(ConfigFile file)
    {
        file.Require(PoolingKey, "last", "last", MeanPooling);
        return LlamaConfig.Read(file);
    }
}
