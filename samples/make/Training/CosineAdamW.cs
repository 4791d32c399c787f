using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Training;

/// <summary>
/// AdamW (Loshchilov and Hutter, arXiv:1711.05101) with a linear warm-up, a cosine decay to a twentieth, and clipped gradients.
/// Weight decay is for matrices alone.
/// </summary>
internal sealed class CosineAdamW : IDisposable
{
    private const double FinalShare = 0.05;

    // A short training warms up for a fifth of its steps.
    private const int WarmupAtMost = 5;

    private readonly IReadOnlyList<Parameter> _parameters;
    private readonly optim.Optimizer _adam;
    private readonly double _learningRate;
    private readonly int _warmup;
    private readonly int _steps;
    private int _step;

    public CosineAdamW(nn.Module model, double learningRate, double weightDecay, double squareDecay, int warmup, int steps)
    {
        _parameters = [.. model.parameters()];
        (_learningRate, _steps) = (learningRate, steps);
        _warmup = Math.Max(1, Math.Min(warmup, steps / WarmupAtMost));
        AdamW.ParamGroup Group(Func<Parameter, bool> takes, double decay) => new(
            _parameters.Where(takes),
            new AdamW.Options { LearningRate = learningRate, beta1 = 0.9, beta2 = squareDecay, weight_decay = decay });
        _adam = optim.AdamW([Group(p => p.dim() > 1, weightDecay), Group(p => p.dim() == 1, 0)]);
    }

    /// <summary>Moves the parameters against the gradient of a loss.</summary>
    public void Step(Tensor loss)
    {
        var rate = _learningRate * RateShare();
        foreach (var group in _adam.ParamGroups)
            group.LearningRate = rate;
        _adam.zero_grad();
        loss.backward();
        nn.utils.clip_grad_norm_(_parameters, 1);
        _adam.step();
        _step++;
    }

    public void Dispose() => _adam.Dispose();

    private double RateShare()
    {
        var decay = FinalShare + ((1 - FinalShare) * 0.5 * (1 + Math.Cos(Math.PI * _step / _steps)));
        return Math.Min(1, (_step + 1.0) / _warmup) * decay;
    }
}
