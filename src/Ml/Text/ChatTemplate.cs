namespace RlhfFunctions.Ml.Text;

/// <summary>The ChatML form in which chat-tuned models such as TinyLlama-Chat expect a conversation.</summary>
public static class ChatTemplate
{
    /// <summary>The token that ends a turn: generation for a chat prompt stops at its id.</summary>
    public const string EndOfTurn = "<|im_end|>";

    /// <summary>One user turn, opened for the assistant's answer.</summary>
    /// <param name="user">What the user says.</param>
    /// <param name="system">An instruction that goes before it, or null for none.</param>
    public static string ChatMl(string user, string? system = null) =>
        (system is null ? "" : Turn("system", system)) + Turn("user", user) + "<|im_start|>assistant\n";

    /// <summary>A conversation so far, opened for the assistant's answer.</summary>
    public static string ChatMl(IEnumerable<(string Role, string Content)> turns) =>
        string.Concat(turns.Select(turn => Turn(turn.Role, turn.Content))) + "<|im_start|>assistant\n";

    private static string Turn(string role, string content) => $"<|im_start|>{role}\n{content}{EndOfTurn}\n";
}
