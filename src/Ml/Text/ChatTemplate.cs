using RlhfFunctions.Ml.Text.Jinja;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// How a chat model's conversations are written, by the Jinja template among its own files, filled in as transformers'
/// apply_chat_template does. It is given no tools and no date (Llama 3 then takes the one it was made on): the same conversation is the
/// same text on every day.
/// </summary>
public sealed class ChatTemplate
{
    /// <summary>ChatML's end of a turn: generation for a chat prompt stops at its id.</summary>
    public const string EndOfTurn = "<|im_end|>";

    private const string FileName = "chat_template.jinja";

    private static readonly string[] NamedTokens = ["bos_token", "eos_token", "unk_token", "pad_token"];

    private readonly string _place;
    private readonly JinjaTemplate _template;
    private readonly IReadOnlyDictionary<string, object?> _tokens;

    private ChatTemplate(string place, string source, IReadOnlyDictionary<string, object?> tokens)
    {
        (_place, Source, _tokens) = (place, source, tokens);
        _template = Named(() => new JinjaTemplate(source));
    }

    /// <summary>The template as the model's author wrote it.</summary>
    public string Source { get; }

    /// <summary>
    /// The template of <c>chat_template.jinja</c>, or of <c>tokenizer_config.json</c> (of several, the one called "default"); null: the
    /// model has none.
    /// </summary>
    /// <exception cref="InvalidDataException">It is broken, or uses what is not supported; the message says what.</exception>
    public static ChatTemplate? FromFolder(string folder)
    {
        if (SourceIn(folder) is not { } source)
            return null;
        var files = new TokenizerFiles(folder);
        var tokens = NamedTokens.Where(key => files.Name(key) is not null).ToDictionary(key => key, key => (object?)files.Name(key));
        var path = Path.Combine(folder, FileName);
        return new(File.Exists(path) ? path : Path.Combine(folder, "tokenizer_config.json"), source, tokens);
    }

    /// <summary>The template as it stands in a model's files, read no further.</summary>
    public static string? SourceIn(string folder) => Path.Combine(folder, FileName) is var path && File.Exists(path)
        ? File.ReadAllText(path) : new TokenizerFiles(folder).ChatTemplate;

    /// <summary>A conversation as one text, the model's begin token included where the template puts it there.</summary>
    /// <param name="messages">In order; a system message comes first.</param>
    /// <param name="addGenerationPrompt">True opens the assistant's turn at the end.</param>
    /// <exception cref="InvalidDataException">The template refuses the conversation, as those do that know no system message.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = true) => Named(() => _template.Render(_tokens.Concat(
        new Dictionary<string, object?>
        {
            ["messages"] = messages.Select(message => (object?)new Dictionary<string, object?> { ["role"] = message.Role, ["content"] = message.Content }).ToList(),
            ["add_generation_prompt"] = addGenerationPrompt,
            ["tools"] = null,
            ["documents"] = null,
        })));

    private T Named<T>(Func<T> use)
    {
        try
        {
            return use();
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or IndexOutOfRangeException or InvalidCastException or ArithmeticException
            or InsufficientExecutionStackException)
        {
            var what = e is InvalidDataException ? e.Message : $"the chat template cannot be filled in: {e.Message.TrimEnd('.')}";
            throw new InvalidDataException($"{_place}: {what}. Write the turns' marks into the prompt template by hand, or correct the chat template.", e);
        }
    }
}
