using System.Text;
using LLama;
using LLama.Common;
using LLama.Native;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Benchmarks;

/// <summary>llama.cpp on random weights of a shape, in Q4_0: as many bits a weight as NF4 with its scales.</summary>
internal sealed class LlamaCpp : IDisposable
{
    private const int Q4 = 2, Single = 0;

    private readonly string _file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.gguf");
    private readonly LlamaConfig _config;
    private readonly int _threads;

    public LlamaCpp(LlamaConfig config, int threads)
    {
        (_config, _threads) = (config, threads);
        Write();
    }

    static LlamaCpp() => NativeLibraryConfig.All.WithLogCallback((_, _) => { }); // before the library is loaded, and never again

    /// <summary>Tokens a second, several sequences side by side.</summary>
    public double[] Decode(int sequences, int prompt, int tokens, int times) => Use(sequences * (prompt + (tokens * (times + 1))), sequences, context =>
    {
        Feed(context, sequences, 0, prompt);
        var position = prompt;
        return Measurement.Seconds(times, () =>
        {
            for (var t = 0; t < tokens; t++)
                Feed(context, sequences, position++, 1);
        });
    });

    /// <summary>Seconds for a prompt.</summary>
    public double[] Prefill(int prompt, int times) => Use(prompt, 1, context => Measurement.Seconds(times, () =>
    {
        context.NativeHandle.MemoryClear(true);
        Feed(context, 1, 0, prompt);
    }));

    public void Dispose() => File.Delete(_file);

    private static void Feed(LLamaContext context, int sequences, int position, int tokens)
    {
        var batch = new LLamaBatch();
        for (var sequence = 0; sequence < sequences; sequence++)
            for (var t = 0; t < tokens; t++)
                batch.Add((LLamaToken)(3 + t + sequence), (LLamaPos)(position + t), (LLamaSeqId)sequence, t == tokens - 1);
        if (context.Decode(batch) != DecodeResult.Ok)
            throw new InvalidOperationException("llama.cpp did not decode the batch.");
    }

    private T Use<T>(int length, int sequences, Func<LLamaContext, T> work)
    {
        var parameters = new ModelParams(_file)
        {
            ContextSize = (uint)(length + 64),
            SeqMax = (uint)sequences,
            BatchSize = 2048,
            UBatchSize = 512,
            GpuLayerCount = 0,
            Threads = _threads,
            BatchThreads = _threads,
            KVUnified = true,
        };
        using var weights = LLamaWeights.LoadFromFile(parameters);
        using var context = weights.CreateContext(parameters);
        return work(context);
    }

    /// <summary>A GGUF file, version 3.</summary>
    private void Write()
    {
        var (h, kv) = ((ulong)_config.HiddenSize, (ulong)(_config.KeyValueHeads * _config.HeadSize));
        var (i, v) = ((ulong)_config.IntermediateSize, (ulong)_config.VocabularySize);
        var tensors = new List<(string Name, int Type, ulong[] Shape)>
        {
            ("token_embd.weight", Q4, [h, v]), ("output_norm.weight", Single, [h]), ("output.weight", Q4, [h, v]),
        };
        for (var layer = 0; layer < _config.Layers; layer++)
            foreach (var (name, type, shape) in new (string, int, ulong[])[]
            {
                ("attn_norm", Single, [h]), ("attn_q", Q4, [h, h]), ("attn_k", Q4, [h, kv]), ("attn_v", Q4, [h, kv]),
                ("attn_output", Q4, [h, h]), ("ffn_norm", Single, [h]), ("ffn_gate", Q4, [h, i]), ("ffn_up", Q4, [h, i]), ("ffn_down", Q4, [i, h]),
            })
                tensors.Add(($"blk.{layer}.{name}.weight", type, shape));
        (string Key, object Value)[] facts =
        [
            ("general.architecture", "llama"), ("tokenizer.ggml.model", "no_vocab"), ("llama.vocab_size", (uint)v),
            ("llama.block_count", (uint)_config.Layers), ("llama.context_length", (uint)_config.ContextLength),
            ("llama.embedding_length", (uint)h), ("llama.feed_forward_length", (uint)i), ("llama.attention.head_count", (uint)_config.Heads),
            ("llama.attention.head_count_kv", (uint)_config.KeyValueHeads), ("llama.attention.layer_norm_rms_epsilon", 1e-5f),
            ("llama.rope.dimension_count", (uint)_config.HeadSize),
        ];

        using var file = new BinaryWriter(File.Create(_file));
        file.Write("GGUF"u8);
        file.Write(3u);
        file.Write((ulong)tensors.Count);
        file.Write((ulong)facts.Length);
        foreach (var (key, value) in facts)
        {
            WriteText(file, key);
            switch (value)
            {
                case uint number:
                    file.Write(4u);
                    file.Write(number);
                    break;
                case float number:
                    file.Write(6u);
                    file.Write(number);
                    break;
                case string text:
                    file.Write(8u);
                    WriteText(file, text);
                    break;
            }
        }
        var offset = 0L;
        foreach (var (name, type, shape) in tensors)
        {
            WriteText(file, name);
            file.Write((uint)shape.Length);
            foreach (var size in shape)
                file.Write(size);
            file.Write((uint)type);
            file.Write((ulong)offset);
            offset += Aligned(Bytes(type, shape));
        }
        file.Write(new byte[Aligned(file.BaseStream.Position) - file.BaseStream.Position]);
        var random = new Random(1);
        foreach (var (_, type, shape) in tensors)
        {
            var bytes = new byte[Aligned(Bytes(type, shape))];
            if (type == Single)
                for (var at = 0; at < bytes.Length; at += 4)
                    BitConverter.TryWriteBytes(bytes.AsSpan(at), 1f);
            else
            {
                random.NextBytes(bytes);
                for (var at = 0; at + 18 <= bytes.Length; at += 18) // a scale and 32 codes
                    BitConverter.TryWriteBytes(bytes.AsSpan(at), (Half)0.004f);
            }
            file.Write(bytes);
        }
    }

    private static void WriteText(BinaryWriter file, string text)
    {
        file.Write((ulong)text.Length);
        file.Write(Encoding.ASCII.GetBytes(text));
    }

    private static long Bytes(int type, ulong[] shape)
    {
        var count = (long)shape.Aggregate(1UL, (a, b) => a * b);
        return type == Single ? count * 4 : count / 32 * 18;
    }

    private static long Aligned(long length) => (length + 31) / 32 * 32;
}
