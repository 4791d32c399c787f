using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>A Llama of a few thousand weights with everything in it: grouped queries, an own output layer, two blocks.</summary>
internal static class TinyLlama
{
    public static LlamaConfig Config { get; } = new()
    {
        VocabularySize = 31,
        HiddenSize = 24,
        IntermediateSize = 40,
        Layers = 2,
        Heads = 6,
        KeyValueHeads = 2,
        HeadSize = 4,
        ContextLength = 64,
        InitializerRange = 0.3,
    };

    public static LlamaForCausalLm Build(ulong seed = 1) => new(Config, seed);
}
