namespace RlhfFunctions.Ml.Data;

/// <summary>Turns a dialogue into the prompt a model completes.</summary>
public sealed class PromptTemplate
{
    private const string Placeholder = "{dialogue}";

    private readonly string _template;

    /// <summary>The instruction the original notebook trains with.</summary>
    public static PromptTemplate Default { get; } = new("\nSummarize the following conversation.\n\n{dialogue}\n\nSummary:\n");

    /// <param name="template">The prompt with <c>{dialogue}</c> where the dialogue goes.</param>
    /// <exception cref="ArgumentException">The placeholder is missing.</exception>
    public PromptTemplate(string template)
    {
        ArgumentNullException.ThrowIfNull(template);
        if (!template.Contains(Placeholder, StringComparison.Ordinal))
            throw new ArgumentException($"The prompt template has no {Placeholder}: write it where the dialogue belongs. It reads: {template}", nameof(template));
        _template = template;
    }

    /// <summary>The prompt of one dialogue; the dialogue goes in unchanged.</summary>
    public string Fill(string dialogue) => _template.Replace(Placeholder, dialogue, StringComparison.Ordinal);
}
