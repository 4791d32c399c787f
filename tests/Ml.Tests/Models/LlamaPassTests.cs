using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

public sealed class LlamaPassTests
{
    private static readonly long[,] Ids = { { 1, 5, 9, 2 }, { 30, 0, 3, 3 }, { 7, 7, 1, 4 } };

    [Fact]
    public void Rows_kept_in_the_cache_go_on_as_if_the_others_had_never_been()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyLlama.Build();
        using var cache = new KvCache(5);
        model.Hidden(tensor(Ids), cache: cache);
        cache.KeepRows(tensor(new long[] { 2, 0 }));
        var actual = model.Hidden(tensor(new long[,] { { 8 }, { 6 } }), cache: cache)[TensorIndex.Colon, -1];
        var expected = model.Hidden(tensor(new long[,] { { 7, 7, 1, 4, 8 }, { 1, 5, 9, 2, 6 } }))[TensorIndex.Colon, -1];
        AssertTensor.Close(expected, actual, 1e-5);
    }

    [Fact]
    public void Pads_give_numbers_and_gradients_even_in_rows_of_nothing_else()
    {
        using var scope = NewDisposeScope();
        using var model = TinyLlama.Build();
        var isReal = tensor(new[,] { { false, false, true, true }, { true, true, true, true }, { false, false, false, false } });
        var logits = model.Logits(model.Hidden(tensor(Ids), isRealToken: isReal));
        Assert.True(logits.isfinite().all().item<bool>());
        logits.square().sum().backward();
        Assert.All(model.parameters(), p => Assert.True(p.grad!.isfinite().all().item<bool>()));
        using var noGrad = no_grad();
        using var cache = new KvCache(5);
        model.Hidden(tensor(Ids), isRealToken: isReal, cache: cache);
        var isStillReal = cat([isReal, zeros(3, 1, ScalarType.Bool)], 1);
        var next = model.Hidden(tensor(new long[,] { { 1 }, { 2 }, { 3 } }), isRealToken: isStillReal, cache: cache);
        Assert.True(next.isfinite().all().item<bool>());
    }

    [Fact]
    public void Passes_leave_no_tensors_behind()
    {
        using var model = TinyLlama.Build();
        using var ids = tensor(Ids);
        using var isReal = ones(3, 4, ScalarType.Bool);
        NoLeaks.In(() =>
        {
            using var noGrad = no_grad();
            using var cache = new KvCache(8);
            using var rows = arange(3);
            model.Hidden(ids, cache: cache).Dispose();
            cache.KeepRows(rows);
            model.Hidden(ids, cache: cache).Dispose();
            using var hidden = model.Hidden(ids, isRealToken: isReal);
            model.Logits(hidden).Dispose();
        });
        NoLeaks.In(() => TinyLlama.Build().Dispose());
        NoLeaks.In(() => RobertaForSequenceClassification.Load(RepositoryRoot.Path("samples/models/reward")).Dispose());
    }

    [Fact]
    public void Misuse_is_refused_before_anything_changes()
    {
        using var scope = NewDisposeScope();
        using var model = TinyLlama.Build();
        using var cache = new KvCache(6);
        var ids = tensor(Ids);
        var error = Assert.Throws<InvalidOperationException>(() => model.Hidden(ids, cache: cache));
        Assert.Contains("no_grad", error.Message, StringComparison.Ordinal);
        using var noGrad = no_grad();
        model.Hidden(ids, cache: cache);
        error = Assert.Throws<InvalidOperationException>(() => model.Hidden(ids, cache: cache));
        Assert.Contains("6 columns", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => model.Hidden(ids.narrow(0, 0, 1).narrow(1, 0, 1), cache: cache));
        Assert.Equal(4, cache.Length);
        Assert.Throws<ArgumentException>(() => model.Hidden(ids, isRealToken: ones(3, 3, ScalarType.Bool)));
        Assert.Throws<ArgumentException>(() => model.Hidden(ids, isRealToken: ones(3, 4)));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Hidden(ids, positions: ids + TinyLlama.Config.ContextLength));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Hidden(zeros(1, TinyLlama.Config.ContextLength + 1, ScalarType.Int64)));
    }
}
