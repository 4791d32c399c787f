using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

public sealed class RotaryEmbeddingTests
{
    private const int Context = 20_000;

    [Fact]
    public void Tables_grow_with_the_context_while_others_read_them()
    {
        using var scope = NewDisposeScope();
        using var rotary = new RotaryEmbedding(TinyLlama.Config with { ContextLength = Context }, ScalarType.Float32, CPU);
        var (before, _) = rotary.At(null, 0, 10);
        Parallel.For(0, 8, i =>
        {
            using var own = NewDisposeScope();
            var (cosine, sine) = rotary.At(null, 9_000 + (i * 1_000), 3); // behind the first 8,192 positions
            Assert.Equal(Math.Cos(9_000 + (i * 1_000)), cosine[0, 0, 0, 0].item<float>(), 1e-3);
            Assert.Equal(-Math.Sin(9_002 + (i * 1_000)), sine[0, 2, 0, 0].item<float>(), 1e-3);
        });
        Assert.Equal(Math.Cos(9), before[0, 9, 0, 0].item<float>(), 1e-5); // of the outgrown table
        var (some, _) = rotary.At(tensor(new[] { 7L, 19_999L }).unsqueeze(0), 0, 2);
        Assert.Equal(Math.Cos(19_999), some[0, 1, 0, 0].item<float>(), 1e-3);
        Assert.Throws<ArgumentOutOfRangeException>(() => rotary.At(null, Context, 1));
    }
}
