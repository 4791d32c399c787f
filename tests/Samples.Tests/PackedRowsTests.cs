using RlhfFunctions.Ml.Models;
using RlhfFunctions.Samples.Make.Training;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Tests;

public class PackedRowsTests
{
    private static readonly TokenizedRow[] Rows =
    [
        new([1, 20, 21, 22], [[30, 31, 2], [32, 2]]),
        new([1, 40, 41], [[50, 2], [51, 52, 53, 2], [54, 2]]),
    ];

    [Fact]
    public void A_row_is_the_prompt_but_its_last_token_and_then_each_summary_behind_that_token()
    {
        using var scope = NewDisposeScope();
        var packed = PackedRows.Of(Rows);
        Assert.Equal<long>([1, 20, 21, 22, 30, 31, 22, 32], Row(packed.InputIds, 0)[..8]);
        Assert.Equal<long>([0, 1, 2, 3, 4, 5, 3, 4], Row(packed.Positions, 0)[..8]);
        Assert.Equal<long>([20, 21, 22, 30, 31, 2, 32, 2], Row(packed.Targets, 0)[..8]);
        float[] weights = packed.Weights[0].data<float>().ToArray();
        Assert.Equal([0.3f, 0.3f, 0.3f, 1, 1, 1, 1, 1], weights[..8]);
        Assert.All(weights[8..], weight => Assert.Equal(0, weight));
    }

    [Fact]
    public void Packed_together_summaries_are_predicted_as_each_alone()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new LlamaForCausalLm(LlamaTrainer.Config, seed: 3);
        var packed = PackedRows.Of(Rows);
        var hidden = model.HiddenSeeing(packed.InputIds, packed.Positions, packed.IsVisible); // [B, T, H]
        foreach (var (r, row) in Rows.Index())
        {
            var at = row.Prompt.Length - 1;
            foreach (var summary in row.Summaries)
            {
                long[] alone = [.. row.Prompt, .. summary[..^1]];
                var expected = model.Hidden(tensor(alone, 1, alone.Length))[0].narrow(0, row.Prompt.Length - 1, summary.Length);
                var found = hidden[r].narrow(0, at, summary.Length);
                Assert.True(expected.allclose(found, rtol: 1e-4, atol: 1e-5), $"row {r}, summary at {at}");
                at += summary.Length;
            }
        }
    }

    private static long[] Row(Tensor matrix, int row) => matrix[row].data<long>().ToArray();
}
