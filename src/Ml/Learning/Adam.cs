using RlhfFunctions.Contracts;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// Adam (Kingma and Ba, arXiv:1412.6980) with β₁ 0.9, β₂ 0.999, ε 1e-8 and no weight decay. Gradients and moments of all
/// parameters lie end to end in one vector: a step is a dozen operations however many layers are trained, the global norm is
/// the norm of that vector, and a checkpoint holds exactly what the next step needs.
/// </summary>
public sealed class Adam : IDisposable
{
    private const double MeanDecay = 0.9;
    private const double SquareDecay = 0.999;
    private const double Epsilon = 1e-8;

    private readonly IReadOnlyList<Parameter> _parameters;
    private readonly long[] _sizes;
    private readonly Tensor _mean; // [N]
    private readonly Tensor _square; // [N]

    /// <summary>Starts at rest. The parameters stay the caller's.</summary>
    public Adam(IReadOnlyList<Parameter> parameters)
    {
        _parameters = parameters;
        _sizes = [.. parameters.Select(parameter => parameter.numel())];
        _mean = zeros(_sizes.Sum(), float32, parameters[0].device).DetachFromDisposeScope();
        _square = zeros_like(_mean).DetachFromDisposeScope();
    }

    /// <summary>Steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>The share of the learning rates that applies at a step of a run: linear from 1 to the final share at the last step.</summary>
    public static double LearningRateShare(int step, TrainingSettings settings)
    {
        if (settings.Steps <= 1)
            return 1;
        var done = Math.Min(1, (double)step / (settings.Steps - 1));
        return 1 - ((1 - settings.FinalLearningRateShare) * done);
    }

    /// <summary>Decayed mean of the gradients, one view per parameter; the views belong to the caller's dispose scope.</summary>
    public Tensor[] Means() => Split(_mean);

    /// <summary>Decayed mean of the squared gradients, one view per parameter; the views belong to the caller's dispose scope.</summary>
    public Tensor[] Squares() => Split(_square);

    /// <summary>Continues where a checkpoint was taken.</summary>
    public void Restore(long steps, IEnumerable<Tensor> means, IEnumerable<Tensor> squares)
    {
        using var scope = NewDisposeScope();
        Steps = steps;
        _mean.copy_(Flat(means));
        _square.copy_(Flat(squares));
    }

    /// <summary>Forgets the steps taken and their gradients.</summary>
    public void Restart()
    {
        Steps = 0;
        _mean.zero_();
        _square.zero_();
    }

    /// <summary>
    /// Clips the parameters' gradients to a global norm (null: not), moves the parameters, and clears the gradients. Where the
    /// norm is not finite nothing moves, neither parameters nor moments.
    /// </summary>
    /// <param name="learningRates">One per parameter.</param>
    /// <param name="maxNorm">Largest global L2 norm of the gradient.</param>
    /// <returns>Whether the step was taken.</returns>
    public bool Step(IReadOnlyList<double> learningRates, double? maxNorm)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var gradient = Flat(_parameters.Select(parameter => parameter.grad ?? zeros_like(parameter))); // [N]
        ClearGradients();

        var norm = (double)gradient.norm().item<float>();
        if (!double.IsFinite(norm))
            return false;
        if (norm > maxNorm)
            gradient.mul_(maxNorm.Value / (norm + 1e-6)); // torch's clip_grad_norm_ has this 1e-6

        Steps++;
        _mean.mul_(MeanDecay).add_(gradient, alpha: 1 - MeanDecay);
        _square.mul_(SquareDecay).addcmul_(gradient, gradient, 1 - SquareDecay);
        var meanCorrection = 1 - Math.Pow(MeanDecay, Steps);
        var squareCorrection = Math.Sqrt(1 - Math.Pow(SquareDecay, Steps));
        var direction = _mean / (_square.sqrt().div_(squareCorrection).add_(Epsilon)); // [N]
        foreach (var (parameter, step, rate) in _parameters.Zip(Split(direction), learningRates))
            parameter.add_(step, alpha: -rate / meanCorrection);
        return true;
    }

    /// <summary>Forgets gradients that were accumulated since the last step.</summary>
    public void ClearGradients()
    {
        foreach (var parameter in _parameters)
            parameter.grad = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mean.Dispose();
        _square.Dispose();
    }

    private static Tensor Flat(IEnumerable<Tensor> tensors) => cat([.. tensors.Select(tensor => tensor.reshape(-1))], 0);

    private Tensor[] Split(Tensor flat) =>
        [.. flat.split(_sizes).Zip(_parameters, (part, parameter) => part.view(parameter.shape))];
}
