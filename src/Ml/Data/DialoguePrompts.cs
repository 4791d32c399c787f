using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Data;

/// <summary>Dialogues → prompts → token ids: by the prompt template alone, or as a user's turn of the model's chat template.</summary>
public sealed class DialoguePrompts
{
    private readonly PromptTemplate _template;
    private readonly LlamaText _text;
    private readonly ChatTemplate? _chat;
    private readonly ChatMessage[] _system;

    /// <param name="data">Says the prompt template, and whether it is a chat.</param>
    /// <param name="text">The model's tokenizer.</param>
    /// <param name="chat">The model's chat template; looked at only where the data asks for a chat.</param>
    /// <exception cref="InvalidDataException">The data asks for a chat, and there is no chat template.</exception>
    public DialoguePrompts(DataSettings data, LlamaText text, ChatTemplate? chat)
    {
        if (data.Chat && chat is null)
            throw new InvalidDataException(
                "data.chat is true, but the model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): take the "
                + "model's chat version, or write its turns' marks into data.promptTemplate.");
        (_template, _text, _chat) = (new PromptTemplate(data.PromptTemplate), text, data.Chat ? chat : null);
        _system = data.SystemPrompt is null ? [] : [new ChatMessage("system", data.SystemPrompt)];
    }

    /// <summary>Of a model folder.</summary>
    /// <inheritdoc cref="DialoguePrompts(DataSettings, LlamaText, ChatTemplate?)"/>
    public static DialoguePrompts Of(DataSettings data, string folder) =>
        new(data, LlamaText.FromFolder(folder), data.Chat ? ChatTemplate.FromFolder(folder) : null);

    /// <summary>The token ids of one dialogue's prompt.</summary>
    /// <exception cref="InvalidDataException">The chat template refuses it, as those do that know no system message.</exception>
    public int[] Encode(string dialogue)
    {
        var prompt = _template.Fill(dialogue);
        // A chat template writes the begin token itself.
        return _chat is null ? _text.Encode(prompt) : _text.Encode(_chat.Render([.. _system, new ChatMessage("user", prompt)]), addBos: false);
    }
}
