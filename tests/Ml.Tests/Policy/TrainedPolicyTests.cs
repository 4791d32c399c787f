using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Policy;

public class TrainedPolicyTests
{
    private static readonly int[][] Responses = [[4, 5, 6, 2], [7, 2], [8, 9, 10]];

    [Fact]
    public void Scores_are_the_log_softmax_at_the_states_before_each_token()
    {
        using var scope = NewDisposeScope();
        var policy = TinyPolicy.Create();
        var prompts = TinyPolicy.Prompts(3);
        var scores = policy.Score(SequenceBatch.Of(prompts, Responses, CPU), temperature: 0.7);

        for (var row = 0; row < 3; row++)
        {
            int[] sequence = [.. prompts[row], .. Responses[row]];
            var hidden = policy.Model.Hidden(tensor(sequence.Select(id => (long)id).ToArray()).unsqueeze(0)); // [1, T, H]
            var logProbs = nn.functional.log_softmax(policy.Model.Logits(hidden) / 0.7, -1)[0]; // [T, V]
            var values = policy.ValueHead!.Forward(hidden)[0]; // [T]
            for (var r = 0; r < Responses[row].Length; r++)
            {
                var state = prompts[row].Length - 1 + r;
                Assert.Equal(logProbs[state, Responses[row][r]].item<float>(), scores.LogProbs[row, r].item<float>(), 1e-5);
                Assert.Equal(values[state].item<float>(), scores.Values![row, r].item<float>(), 1e-5);
            }
        }
    }

    [Fact]
    public void Without_its_adapter_the_policy_is_the_untrained_one()
    {
        using var scope = NewDisposeScope();
        var sequences = SequenceBatch.Of(TinyPolicy.Prompts(3), Responses, CPU);
        var untrained = TinyPolicy.Create(randomAdapter: false).Score(sequences, 1).LogProbs;
        var policy = TinyPolicy.Create();

        Assert.NotEqual(untrained.data<float>().ToArray(), policy.Score(sequences, 1).LogProbs.data<float>().ToArray());
        using (policy.WithAdapterDisabled())
            GoldenJson.Close(untrained, policy.Score(sequences, 1).LogProbs, 1e-6, "reference");
        Assert.True(policy.Adapter.Enabled);
    }

    [Fact]
    public void An_empty_response_is_refused() =>
        Assert.Throws<ArgumentException>(() => SequenceBatch.Of([[1]], [Array.Empty<int>()], CPU));
}
