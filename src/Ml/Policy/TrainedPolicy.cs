using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Policy;

/// <summary>
/// What is trained: a frozen language model, the adapter in it and, where the algorithm has a critic, a value head on top. The reference policy is the same model
/// with the adapter switched off, so the weights exist once. Dropout is off here, in sampling and in training, as in TRL: the
/// probabilities that are trained are those that were sampled from.
/// </summary>
/// <param name="model">The base model; stays the caller's.</param>
/// <param name="adapter">The adapter attached to it; stays the caller's.</param>
/// <param name="valueHead">The critic; stays the caller's. Null: there is none.</param>
public sealed class TrainedPolicy(LlamaForCausalLm model, LoraAdapter adapter, ValueHead? valueHead)
{
    /// <summary>The language model.</summary>
    public LlamaForCausalLm Model { get; } = model;

    /// <summary>The trained part of it.</summary>
    public LoraAdapter Adapter { get; } = adapter;

    /// <summary>The critic, if any.</summary>
    public ValueHead? ValueHead { get; } = valueHead;

    /// <summary>Bytes that a thread of an update may keep for the way back: see <see cref="TokensAtATime"/>.</summary>
    public long ActivationBytes { get; set; } = 256 << 20;

    /// <summary>Tokens of a mini-batch, padded, that a thread takes through the policy and back at a time.</summary>
    internal long TokensAtATime => Math.Max(1, ActivationBytes / Model.KeptBytesPerToken);

    /// <summary>The same where blocks keep their inputs only.</summary>
    internal long RecomputedTokensAtATime => Math.Max(1, ActivationBytes / Model.InputBytesPerToken);

    /// <summary>Where it computes.</summary>
    public Device Device => Adapter.Parameters[0].Parameter.device;

    /// <summary>All that is trained, by the names it is saved under, in a fixed order: the adapter, then the value head.</summary>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Parameters { get; } =
    [
        .. adapter.Parameters.Select(named => KeyValuePair.Create(named.Name, named.Parameter)),
        .. valueHead is null ? [] : new KeyValuePair<string, Parameter>[]
        {
            new(ValueHead.WeightName, valueHead.Weight),
            new(ValueHead.BiasName, valueHead.Bias),
        },
    ];

    /// <summary>Turns the policy into the reference until the returned object is disposed.</summary>
    public IDisposable WithAdapterDisabled() => new AdapterDisabled(Adapter);

    /// <summary>Keeps gradients from the adapter until the returned object is disposed: only the value head learns.</summary>
    public IDisposable WithAdapterFrozen() => new AdapterFrozen(Adapter);

    /// <summary>Log-probabilities and values of given responses. Gradients flow unless the caller switched them off.</summary>
    /// <param name="sequences">Prompts and responses.</param>
    /// <param name="temperature">Divides the logits, as it did in sampling.</param>
    /// <param name="recomputes">Whether blocks keep nothing for the way back but their input.</param>
    public TokenScores Score(SequenceBatch sequences, double temperature, bool recomputes = false)
    {
        using var scope = NewDisposeScope();
        Adapter.Training = false;
        var predicting = Model.HiddenAt(sequences.Ids, sequences.Predictors, recomputes); // [B, R, H]
        var (logProbs, entropy) = ResponseLogProbs.Of(
            Model, predicting.flatten(0, 1), sequences.ResponseIds.flatten(), temperature); // [B · R] each
        var values = ValueHead?.Forward(predicting); // [B, R]
        return new(
            // Where a response has no token, what stands there says nothing: a ratio of it could be infinite, and no mask makes that a number.
            logProbs.view(sequences.ResponseIds.shape).masked_fill(sequences.IsResponseToken.logical_not(), 0).MoveToOuterDisposeScope(), values?.MoveToOuterDisposeScope(),
            entropy.view(sequences.ResponseIds.shape).MoveToOuterDisposeScope());
    }

    /// <summary>log π of every token of the vocabulary at the response's positions: large. [B, R, V]</summary>
    /// <param name="sequences">Prompts and responses.</param>
    /// <param name="temperature">Divides the logits, as it did in sampling.</param>
    public Tensor LogDistribution(SequenceBatch sequences, double temperature)
    {
        using var scope = NewDisposeScope();
        Adapter.Training = false;
        var logits = Model.Logits(Model.HiddenAt(sequences.Ids, sequences.Predictors)); // [B, R, V]
        return scope.MoveToOuter(nn.functional.log_softmax(logits / temperature, -1));
    }

    private sealed class AdapterDisabled : IDisposable
    {
        private readonly LoraAdapter _adapter;
        private readonly bool _wasEnabled;

        public AdapterDisabled(LoraAdapter adapter)
        {
            (_adapter, _wasEnabled) = (adapter, adapter.Enabled);
            adapter.Enabled = false;
        }

        public void Dispose() => _adapter.Enabled = _wasEnabled;
    }

    private sealed class AdapterFrozen : IDisposable
    {
        private readonly LoraAdapter _adapter;

        public AdapterFrozen(LoraAdapter adapter)
        {
            _adapter = adapter;
            Learn(false);
        }

        public void Dispose() => Learn(true);

        private void Learn(bool learns)
        {
            foreach (var (_, parameter) in _adapter.Parameters)
                parameter.requires_grad = learns;
        }
    }
}
