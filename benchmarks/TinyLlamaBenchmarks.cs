using System.Diagnostics;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Decoding;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Benchmarks;

/// <summary>The shape of TinyLlama-1.1B on random weights, NF4.</summary>
internal static class TinyLlamaBenchmarks
{
    private const int DecodePrompt = 32, Tokens = 12, Times = 5, PrefillPrompt = 512;

    private static readonly double Weights = Shapes.Projections(Shapes.TinyLlama);
    private static readonly double HeadWeights = Shapes.TinyLlama.VocabularySize * (double)Shapes.TinyLlama.HiddenSize;

    /// <summary>Token by token, for some numbers of sequences.</summary>
    public static IEnumerable<Measurement> Rollout(Machine machine, int[] batches)
    {
        var threads = get_num_threads();
        var seconds = new Dictionary<int, (double[] Own, double Peak)>();
        using (var model = Shapes.Nf4())
            foreach (var batch in batches)
            {
                Measurement.ResetPeakMemory();
                using var llama = new FusedLlama(model, [.. Enumerable.Repeat(DecodePrompt + (Tokens * (Times + 1)), batch)], threads);
                llama.Feed([.. Ids(batch, DecodePrompt).SelectMany((ids, s) => ids.Select(id => new FedToken(s, id, false)))], (_, _) => { });
                var own = Measurement.Seconds(Times, () =>
                {
                    for (var t = 0; t < Tokens; t++)
                        llama.Feed([.. Enumerable.Range(0, batch).Select(s => new FedToken(s, 3 + t + s, true))], (_, count) =>
                        {
                            for (var w = 0; w < count; w++)
                                Sampler.Draw(llama.LogitsOf(w), 1, (ulong)w, t);
                        });
                });
                seconds[batch] = (own, Measurement.PeakMemory());
            }
        using var peer = new LlamaCpp(Shapes.TinyLlama, threads);
        var theirs = batches.ToDictionary(batch => batch, batch => Median(peer.Decode(batch, DecodePrompt, Tokens, Times)));
        using var dense = Shapes.BFloat16();
        foreach (var batch in batches)
        {
            var (own, peak) = seconds[batch];
            var libtorch = Torch(dense, batch);
            var bytes = (Weights * 0.5625) + (HeadWeights * 2); // a token of every sequence reads each weight once
            var limit = Math.Max(bytes / machine.BytesPerSecond, 2 * batch * (Weights + HeadWeights) / machine.Flops);
            yield return Measurement.Rate($"rollout/tinyllama/{batch}", "tok/s", batch * Tokens, own) with
            {
                RatioToLibtorch = libtorch / (Median(own) / Tokens),
                RatioToLlamaCpp = theirs[batch] / Median(own),
                ShareOfLimit = limit / (Median(own) / Tokens),
                PeakMemoryMb = peak,
            };
        }
    }

    public static IEnumerable<Measurement> Prefill(Machine machine)
    {
        var threads = get_num_threads();
        double[] own;
        using (var model = Shapes.Nf4())
            own = Measurement.Seconds(3, () =>
            {
                using var llama = new FusedLlama(model, [PrefillPrompt], threads);
                llama.Feed([.. Ids(1, PrefillPrompt)[0].Select((id, t) => new FedToken(0, id, t == PrefillPrompt - 1))], (_, _) => { });
            });
        using var peer = new LlamaCpp(Shapes.TinyLlama, threads);
        var theirs = Median(peer.Prefill(PrefillPrompt, 3));
        using var dense = Shapes.BFloat16();
        using var noGrad = no_grad();
        using var ids = tensor(Ids(1, PrefillPrompt)[0].Select(id => (long)id).ToArray(), 1, PrefillPrompt);
        var libtorch = Median(Measurement.Seconds(3, () => dense.Hidden(ids).Dispose()));
        yield return Measurement.Rate("prefill/tinyllama", "tok/s", PrefillPrompt, own) with
        {
            RatioToLibtorch = libtorch / Median(own),
            RatioToLlamaCpp = theirs / Median(own),
            ShareOfLimit = 2 * Weights * PrefillPrompt / machine.Flops / Median(own),
        };
    }

    /// <summary>A whole step of PPO, and its update alone: 8 prompts of 192 tokens, 64 new ones, one epoch of one mini-batch.</summary>
    public static IEnumerable<Measurement> Step(Machine machine, int batch)
    {
        const int prompt = 192, tokens = 64;
        var settings = new PpoSettings { Steps = 1, BatchSize = batch, MiniBatchSize = batch, Epochs = 1 };
        Measurement.ResetPeakMemory();
        using var model = Shapes.Nf4();
        using var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 16, Alpha = 16 }, seed: 1);
        using var valueHead = new ValueHead(model.Config.HiddenSize, CPU);
        var policy = new TrainedPolicy(model, adapter, valueHead);
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var plan = new RolloutPlan
        {
            RunSeed = 1,
            Step = 0,
            FirstSample = 0,
            Generation = new() { MaxNewTokens = tokens, EndOfTextIds = [] },
            KlPenalty = KlPenalty.Kl,
            ScoringBatchSize = 4,
        };
        var clock = Stopwatch.StartNew();
        var samples = RolloutCollector.Collect(policy, (_, _) => "", new NoReward(), Ids(batch, prompt), plan, CancellationToken.None);
        var (rolledOut, rolloutPeak) = (clock.Elapsed.TotalSeconds, Measurement.PeakMemory());
        Measurement.ResetPeakMemory();
        PolicyUpdate.Run(policy, state, samples, new Ppo(settings, new()), PolicyUpdate.EpochOrder(1, 0), CancellationToken.None);
        var whole = clock.Elapsed.TotalSeconds;
        var peak = Measurement.PeakMemory();
        var pass = ((2 * Weights * batch * (prompt + tokens)) + (2 * HeadWeights * batch * tokens)) / machine.Flops;
        yield return Measurement.Of("rollout+score/tinyllama", "s", [rolledOut]) with { ShareOfLimit = 3 * pass / rolledOut, PeakMemoryMb = rolloutPeak };
        yield return Measurement.Of("update/tinyllama", "s", [whole - rolledOut]) with { ShareOfLimit = 2 * pass / (whole - rolledOut), PeakMemoryMb = peak };
        yield return Measurement.Of("step/tinyllama", "s", [whole]) with { ShareOfLimit = 5 * pass / whole, PeakMemoryMb = Math.Max(rolloutPeak, peak) };
    }

    /// <summary>Seconds a token of every sequence with libtorch's bfloat16.</summary>
    private static double Torch(LlamaForCausalLm model, int batch)
    {
        const int tokens = 4;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var cache = new KvCache(DecodePrompt + tokens + 1);
        Pass(Ids(batch, DecodePrompt));
        Pass(Ids(batch, 1));
        return Median(Measurement.Seconds(tokens, () => Pass(Ids(batch, 1)), warmUp: false));

        void Pass(int[][] ids)
        {
            using var pass = NewDisposeScope();
            model.Logits(model.Hidden(tensor(ids.SelectMany(row => row.Select(id => (long)id)).ToArray(), batch, ids[0].Length), cache: cache).select(1, -1));
        }
    }

    private static int[][] Ids(int rows, int length) => [.. Enumerable.Range(0, rows).Select(row => Enumerable.Range(0, length).Select(t => 3 + (((row * 7919) + (t * 104_729)) % 31_000)).ToArray())];

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);

    private sealed class NoReward : ITextReward
    {
        public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
            [.. responses.Select((_, i) => new TextScore(i % 3))];
    }
}
