using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Token, type and position, added and normalised.</summary>
internal sealed class RobertaEmbeddings : nn.Module
{
    [ComponentName(Name = "word_embeddings")]
    private readonly Embedding _words;

    [ComponentName(Name = "position_embeddings")]
    private readonly Embedding _positions;

    [ComponentName(Name = "token_type_embeddings")]
    private readonly Embedding _types;

    [ComponentName(Name = "LayerNorm")]
    private readonly LayerNorm _norm;

    private readonly int _padId;

    public RobertaEmbeddings(RobertaConfig config, WeightSource weights)
        : base(nameof(RobertaEmbeddings))
    {
        const string name = "roberta.embeddings";
        _padId = config.PadId;
        _words = new Embedding(weights.Matrix($"{name}.word_embeddings.weight", config.VocabularySize, config.HiddenSize));
        _positions = new Embedding(weights.Matrix($"{name}.position_embeddings.weight", config.PositionRows, config.HiddenSize));
        _types = new Embedding(weights.Matrix($"{name}.token_type_embeddings.weight", config.TokenTypes, config.HiddenSize));
        _norm = new LayerNorm(weights, $"{name}.LayerNorm", config.HiddenSize, config.LayerNormEpsilon);
        RegisterComponents();
    }

    /// <param name="inputIds">[B, T] int64</param>
    /// <param name="isRealToken">[B, T] bool</param>
    /// <returns>[B, T, H]</returns>
    public Tensor Forward(Tensor inputIds, Tensor isRealToken)
    {
        using var scope = NewDisposeScope();
        // Real tokens count from PadId + 1; pads stay at PadId.
        var real = isRealToken.to(ScalarType.Int64);
        var positions = (real.cumsum(1) * real).add_(_padId); // [B, T]
        var type = _types.Weight[0]; // [H]; every token is of the first type
        return scope.MoveToOuter(_norm.forward(_words.forward(inputIds) + type + _positions.forward(positions)));
    }
}
