using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// What is added to attention scores: 0 where a column may be seen, −∞ where not. Built once per pass, shared by the layers.
/// </summary>
internal static class AttentionBias
{
    private static readonly Scalar MinusInfinity = float.NegativeInfinity.ToScalar();

    /// <summary>For a decoder.</summary>
    /// <param name="isRealToken">[B, S] bool, or null: all are real.</param>
    /// <param name="past">Columns before the first query.</param>
    /// <param name="length">T, the queries; S = past + T.</param>
    /// <param name="type">Of the queries.</param>
    /// <param name="device">Of the queries.</param>
    /// <returns>[B or 1, 1, T, S]; null where nothing is hidden but by plain causality without a past.</returns>
    public static Tensor? Causal(Tensor? isRealToken, long past, long length, ScalarType type, Device device)
    {
        if (isRealToken is null && (length == 1 || past == 0))
            return null;
        using var scope = NewDisposeScope();
        var isVisible = isRealToken?.view(isRealToken.shape[0], 1, 1, -1);
        if (length > 1)
        {
            var isEarlier = ones(length, past + length, ScalarType.Bool, device).tril(past);
            // A pad on the left sees at least itself: a softmax over nothing has no gradient.
            isVisible = isVisible is null
                ? isEarlier.view(1, 1, length, -1)
                : isVisible.logical_and(isEarlier).logical_or(isEarlier.triu(past));
        }
        return scope.MoveToOuter(FromVisible(isVisible!, type));
    }

    /// <summary>For an encoder: every token sees every real one.</summary>
    /// <param name="isRealToken">[B, T] bool</param>
    /// <param name="type">Of the queries.</param>
    /// <returns>[B, 1, 1, T]</returns>
    public static Tensor Padding(Tensor isRealToken, ScalarType type)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(FromVisible(isRealToken.view(isRealToken.shape[0], 1, 1, -1), type));
    }

    /// <summary>As spelled out.</summary>
    /// <param name="isVisible">[B, T, T] bool</param>
    /// <param name="type">Of the queries.</param>
    /// <returns>[B, 1, T, T]</returns>
    public static Tensor Seeing(Tensor isVisible, ScalarType type)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(FromVisible(isVisible.unsqueeze(1), type));
    }

    private static Tensor FromVisible(Tensor isVisible, ScalarType type) =>
        zeros(isVisible.shape, type, isVisible.device).masked_fill_(isVisible.logical_not(), MinusInfinity);
}
