namespace RlhfFunctions.Ml.Text;

/// <summary>What a token adds to a text.</summary>
/// <param name="Text">Its text; "" where it stands for bytes.</param>
/// <param name="Bytes">The bytes it stands for, which may be part of a character; null: it stands for a text.</param>
/// <param name="IsSpecial">Whether decoding leaves it out when asked to.</param>
internal sealed record TokenText(string Text, byte[]? Bytes, bool IsSpecial);
