namespace RlhfFunctions.Ml.Decoding;

/// <summary>A token put at the end of a sequence.</summary>
/// <param name="Sequence">Which one.</param>
/// <param name="Token">Its id.</param>
/// <param name="IsWanted">Whether it matters what comes next.</param>
internal readonly record struct FedToken(int Sequence, int Token, bool IsWanted);
