using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>However the tokens reach the model, its logits are the same: on the sample model, in fp32.</summary>
public class LlamaConsistencyTests
{
    private const double Tolerance = 1e-5;

    private static readonly long[][] Rows = [[1, 1222, 13, 1253, 339, 416, 272], [1, 428, 13], [1, 265, 439, 638, 355]];

    [Fact]
    public void Logits_with_a_key_value_cache_are_those_of_the_full_forward_pass()
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        using var model = LlamaForCausalLm.Load(RepositoryRoot.Path("samples/models/llama"));
        var row = Rows[0];
        var full = model.Logits(model.Hidden(tensor(row, 1, row.Length))); // [1, T, V]

        using var cache = new KvCache(row.Length);
        var prompt = model.Logits(model.Hidden(tensor(row[..3], 1, 3), cache: cache)); // [1, 3, V]
        AssertClose(full.narrow(1, 0, 3), prompt);
        for (var t = 3; t < row.Length; t++)
        {
            var next = model.Logits(model.Hidden(tensor(new[] { row[t] }, 1, 1), cache: cache)); // [1, 1, V]
            AssertClose(full.narrow(1, t, 1), next);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_padded_batch_gives_each_row_the_logits_it_gets_alone(bool padsLeft)
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        using var model = LlamaForCausalLm.Load(RepositoryRoot.Path("samples/models/llama"));
        var width = Rows.Max(row => row.Length);
        var (ids, positions, isReal) = (new long[Rows.Length * width], new long[Rows.Length * width], new bool[Rows.Length * width]);
        for (var i = 0; i < Rows.Length; i++)
        {
            var first = padsLeft ? width - Rows[i].Length : 0;
            for (var t = 0; t < Rows[i].Length; t++)
            {
                var cell = (i * width) + first + t;
                (ids[cell], positions[cell], isReal[cell]) = (Rows[i][t], t, true);
            }
        }
        var together = model.Logits(model.Hidden(
            tensor(ids, Rows.Length, width), tensor(positions, Rows.Length, width), tensor(isReal, Rows.Length, width))); // [B, T, V]

        for (var i = 0; i < Rows.Length; i++)
        {
            var alone = model.Logits(model.Hidden(tensor(Rows[i], 1, Rows[i].Length))); // [1, t, V]
            var first = padsLeft ? width - Rows[i].Length : 0;
            AssertClose(alone[0], together[i].narrow(0, first, Rows[i].Length));
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        var scale = Math.Max(1, expected.abs().max().item<float>());
        var difference = (expected - actual).abs().max().item<float>();
        Assert.True(difference <= Tolerance * scale, $"Logits differ by {difference}, with logits up to {scale}.");
    }
}
