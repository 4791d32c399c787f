using RlhfFunctions.Ml.Learning;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Learning;

public class AdvantagesTests
{
    [Fact]
    public void A_worked_example()
    {
        using var scope = NewDisposeScope();
        // γ = 0.5, λ = 0.5. Row 0: δ = (1 + 0.5·2 − 1, 0 + 0.5·4 − 2, 8 − 4) = (1, 0, 4); A = (1.25, 1, 4).
        // Row 1 ends after two tokens: δ = (0 + 0.5·1 − 2, 3 − 1) = (−1.5, 2); A = (−1, 2).
        // Row 2 after one: δ = A = (5 − 3).
        var rewards = tensor(new float[,] { { 1, 0, 8 }, { 0, 3, 99 }, { 5, 99, 99 } });
        var values = tensor(new float[,] { { 1, 2, 4 }, { 2, 1, 99 }, { 3, 99, 99 } });
        var isResponseToken = tensor(new[,] { { true, true, true }, { true, true, false }, { true, false, false } });

        var advantages = Advantages.Of(rewards, values, isResponseToken, gamma: 0.5, lambda: 0.5, whitenRewards: false);

        var expectedReturns = tensor(new float[,] { { 2.25f, 3, 8 }, { 1, 3, 0 }, { 5, 0, 0 } });
        Assert.Equal(expectedReturns.data<float>().ToArray(), advantages.Returns.data<float>().ToArray());
        var plain = tensor(new float[,] { { 1.25f, 1, 4 }, { -1, 2, 0 }, { 2, 0, 0 } });
        GoldenJson.Close(Masked.Whiten(plain, isResponseToken, keepMean: false), advantages.Whitened, 1e-6, "whitened advantages");
    }

    [Fact]
    public void The_recursion_equals_the_sum_it_stands_for()
    {
        using var scope = NewDisposeScope();
        const int Length = 9;
        const double Gamma = 0.97, Lambda = 0.9;
        var generator = new Generator(5, CPU);
        var rewards = randn([4, Length], generator: generator);
        var values = randn([4, Length], generator: generator);

        var isResponseToken = ones_like(values).to(ScalarType.Bool);
        var actual = Advantages.Of(rewards, values, isResponseToken, Gamma, Lambda, whitenRewards: false).Returns - values;

        for (var row = 0; row < 4; row++)
            for (var t = 0; t < Length; t++)
            {
                var sum = 0.0;
                for (var k = t; k < Length; k++)
                {
                    var next = k + 1 < Length ? values[row, k + 1].item<float>() : 0;
                    var error = rewards[row, k].item<float>() + (Gamma * next) - values[row, k].item<float>();
                    sum += Math.Pow(Gamma * Lambda, k - t) * error;
                }
                Assert.Equal(sum, actual[row, t].item<float>(), 1e-5);
            }
    }
}
