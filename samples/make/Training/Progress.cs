using System.Diagnostics;

namespace RlhfFunctions.Samples.Make.Training;

/// <summary>Says how a training fares, every few seconds and at its end.</summary>
internal sealed class Progress(string what, int steps, TextWriter output)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _lastLine = TimeSpan.MinValue;
    private double _smoothLoss = double.NaN;

    /// <param name="step">Steps done.</param>
    /// <param name="loss">Of the last one.</param>
    public void Report(int step, double loss)
    {
        _smoothLoss = double.IsNaN(_smoothLoss) ? loss : (0.9 * _smoothLoss) + (0.1 * loss);
        var elapsed = _clock.Elapsed;
        if (step < steps && elapsed - Interval < _lastLine)
            return;
        _lastLine = elapsed;
        var left = elapsed / step * (steps - step);
        output.WriteLine(
            $"{what}: step {step} of {steps}, loss {_smoothLoss:F3}, {elapsed:m\\:ss} gone"
            + (step < steps ? $", {left:m\\:ss} left" : ""));
    }
}
