using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Storage;
using TorchSharp;

namespace RlhfFunctions.Compute;

/// <summary>A base model in memory with an adapter, the value head that some algorithms have, and its tokenizer. One activity uses it at a time.</summary>
public sealed class LoadedPolicy : IDisposable
{
    private readonly string _folder;

    private LoadedPolicy(string folder, LlamaForCausalLm model, LoraAdapter adapter, ValueHead? valueHead, LlamaText text)
    {
        _folder = folder;
        Policy = new TrainedPolicy(model, adapter, valueHead);
        Text = text;
    }

    public TrainedPolicy Policy { get; }

    public LlamaText Text { get; }

    /// <summary>Loads the base and attaches an adapter as it is before the first step.</summary>
    /// <param name="folder">A Hugging Face folder on this machine.</param>
    /// <param name="request">Says precision, device, adapter and, by its seed, the adapter's first weights.</param>
    public static LoadedPolicy Load(string folder, RunRequest request)
    {
        return Make(folder, request, () => LoadBase(folder, request));
    }

    /// <summary>The same with the weights of a base that is in memory already; they stay there for as long as one of the two does.</summary>
    public static LoadedPolicy On(LlamaForCausalLm shared, string folder, RunRequest request)
    {
        return Make(folder, request, shared.Share);
    }

    /// <summary>A run's base model without an adapter.</summary>
    public static LlamaForCausalLm LoadBase(string folder, RunRequest request)
    {
        using var stage = Stage.Begin("load");
        return LlamaForCausalLm.Load(
            folder, request.Model.Precision, Torch.Device(request.Compute.Device), request.Model.ComputeType == ComputeType.Float32 ? torch.float32 : torch.bfloat16);
    }

    private static LoadedPolicy Make(string folder, RunRequest request, Func<LlamaForCausalLm> loadBase)
    {
        var text = LlamaText.FromFolder(folder); // first: without it no model may stay in memory
        var model = loadBase();
        try
        {
            var adapter = LoraAdapter.Attach(model, request.Lora, (ulong)request.Seed);
            bool hasValueHead = Algorithm.Of(request.Training, request.Generation).HasValueHead;
            return new LoadedPolicy(folder, model, adapter, hasValueHead ? new ValueHead(model.Config.HiddenSize, model.Device) : null, text);
        }
        catch
        {
            model.Dispose(); // every retry would leave another one in memory
            throw;
        }
    }

    /// <summary>The settings with the ends of text filled in: the model's, and the end of a chat's turn where the tokenizer has one.</summary>
    /// <exception cref="InvalidInputException">The request names an id that the model does not have.</exception>
    public GenerationSettings WithEndOfText(GenerationSettings settings)
    {
        int size = Policy.Model.Config.VocabularySize;
        if (settings.EndOfTextIds?.FirstOrDefault(id => id >= size, -1) is >= 0 and var unknown)
            throw new InvalidInputException($"generation.endOfTextIds holds {unknown}, but the model has the token ids 0 to {size - 1}.");

        int[] ofTurn = Text.FindId(ChatTemplate.EndOfTurn) is { } id ? [id] : [];
        return settings with { EndOfTextIds = settings.EndOfTextIds ?? [.. Policy.Model.Config.EndOfTextIds.Union(ofTurn)] };
    }

    /// <summary>How dialogues become this model's prompts.</summary>
    /// <exception cref="InvalidDataException">The data asks for a chat, and the model has no chat template, or one that is not supported.</exception>
    public DialoguePrompts Prompts(DataSettings data)
    {
        return new DialoguePrompts(data, Text, data.Chat ? ChatTemplate.FromFolder(_folder) : null);
    }

    /// <summary>A conversation as a prompt that opens the assistant's turn: by the model's chat template, or where it has none its texts, a line each.</summary>
    /// <exception cref="InvalidDataException">The template refuses it, as those do that know no system message.</exception>
    public int[] EncodeChat(IReadOnlyList<ChatMessage> messages)
    {
        return ChatTemplate.FromFolder(_folder) is { } template
            ? Text.Encode(template.Render(messages), addBos: false) // it writes the begin token itself
            : Text.Encode(string.Join('\n', messages.Select(message => message.Content)));
    }

    public void Dispose()
    {
        Policy.ValueHead?.Dispose();
        Policy.Adapter.Dispose();
        Policy.Model.Dispose();
    }
}
