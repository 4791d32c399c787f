using LLama;
using LLama.Common;
using LLama.Native;

namespace RlhfFunctions.Ml.Tests.Export;

/// <summary>llama.cpp with a GGUF file, and with an adapter on it where one is named.</summary>
internal sealed class LlamaCpp : IDisposable
{
    private readonly LLamaWeights _weights;
    private readonly LLamaContext _context;

    static LlamaCpp() => NativeLibraryConfig.All.WithLogCallback((_, _) => { });

    public LlamaCpp(string model, string? adapter = null)
    {
        var parameters = new ModelParams(model) { ContextSize = 256, GpuLayerCount = 0, Threads = 1, BatchThreads = 1, FlashAttention = false, TypeK = GGMLType.GGML_TYPE_F32, TypeV = GGMLType.GGML_TYPE_F32 };
        _weights = LLamaWeights.LoadFromFile(parameters);
        _context = _weights.CreateContext(parameters);
        if (adapter is not null)
            _context.NativeHandle.SetLoraAdapters([(_weights.NativeHandle.LoadLoraFromFile(adapter), 1f)]);
    }

    public IReadOnlyDictionary<string, string> Metadata => _weights.Metadata;

    public int[] Tokenize(string text) => Array.ConvertAll(_context.Tokenize(text, addBos: true, special: true), token => (int)token);

    /// <summary>What may come after the last of some tokens. [V]</summary>
    public float[] Logits(IReadOnlyList<int> ids)
    {
        _context.NativeHandle.MemoryClear();
        return Feed(ids, 0);
    }

    /// <summary>The most probable continuation.</summary>
    public int[] Greedy(IReadOnlyList<int> prompt, int length, int end)
    {
        var logits = Logits(prompt);
        var ids = new List<int>();
        while (ids.Count < length)
        {
            ids.Add(Array.IndexOf(logits, logits.Max()));
            if (ids[^1] == end || ids.Count == length)
                break;
            logits = Feed(ids[^1..], prompt.Count + ids.Count - 1);
        }
        return [.. ids];
    }

    public string Text(IEnumerable<int> ids)
    {
        var decoder = new StreamingTokenDecoder(_context);
        decoder.AddRange(ids.Select(id => (LLamaToken)id));
        return decoder.Read();
    }

    public void Dispose()
    {
        _context.Dispose();
        _weights.Dispose();
    }

    private float[] Feed(IReadOnlyList<int> ids, int position)
    {
        var batch = new LLamaBatch();
        for (var i = 0; i < ids.Count; i++)
            batch.Add((LLamaToken)ids[i], (LLamaPos)(position + i), LLamaSeqId.Zero, i == ids.Count - 1);
        Assert.Equal(DecodeResult.Ok, _context.Decode(batch));
        return _context.NativeHandle.GetLogitsIth(ids.Count - 1).ToArray();
    }
}
