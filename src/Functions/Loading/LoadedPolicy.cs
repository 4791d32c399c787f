using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Loading;

/// <summary>A base model in memory with an adapter, a value head and its tokenizer. One activity uses it at a time.</summary>
public sealed class LoadedPolicy : IDisposable
{
    private LoadedPolicy(LlamaForCausalLm model, LoraAdapter adapter, ValueHead valueHead, LlamaText text)
    {
        Policy = new PolicyWithValue(model, adapter, valueHead);
        Text = text;
    }

    public PolicyWithValue Policy { get; }

    public LlamaText Text { get; }

    /// <summary>Loads the base and attaches an adapter as it is before the first step.</summary>
    /// <param name="folder">A Hugging Face folder on this machine.</param>
    /// <param name="request">Says precision, device, adapter and, by its seed, the adapter's first weights.</param>
    public static LoadedPolicy Load(string folder, RunRequest request)
    {
        var device = Torch.Device(request.Compute.Device);
        var model = LlamaForCausalLm.Load(folder, request.Model.Precision, device);
        var adapter = LoraAdapter.Attach(model, request.Lora, (ulong)request.Seed);
        return new LoadedPolicy(model, adapter, new ValueHead(model.Config.HiddenSize, device), LlamaText.FromFolder(folder));
    }

    public void Dispose()
    {
        Policy.ValueHead.Dispose();
        Policy.Adapter.Dispose();
        Policy.Model.Dispose();
    }
}
