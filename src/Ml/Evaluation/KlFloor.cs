using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Evaluation;

/// <summary>What an improvement costs at least: no policy makes a label rarer, or more frequent, without leaving the reference by this much.</summary>
public static class KlFloor
{
    /// <summary>
    /// The least KL(π‖π_ref) of any policy π whose responses bear the label with probability <paramref name="after"/> where the reference's do
    /// with <paramref name="before"/>: q ln(q/p) + (1−q) ln((1−q)/(1−p)), with 0 ln 0 = 0. Asking a judge about a response processes it, and
    /// processing never raises a divergence (the data-processing inequality; Cover and Thomas 2006, chapter 2). That holds for a
    /// judge's mean probability as for a share: it is the share found by a judge who tosses a coin with that probability. Over several
    /// dialogues, with the means over dialogues, it bounds the mean KL per response.
    /// </summary>
    /// <param name="before">p, from 0 to 1.</param>
    /// <param name="after">q, from 0 to 1.</param>
    /// <returns>Nats per response; 0 if nothing changed, +∞ if the reference never does what the policy does.</returns>
    /// <exception cref="ArgumentOutOfRangeException">Not a probability.</exception>
    public static double Of(double before, double after)
    {
        Expect.InRange(before, 0, 1);
        Expect.InRange(after, 0, 1);
        return Math.Max(0, Term(after, before) + Term(1 - after, 1 - before)); // rounding may leave a hair below zero

        static double Term(double q, double p) => q == 0 ? 0 : q * Math.Log(q / p);
    }
}
