using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Rollout;

public class BatchGeneratorTests
{
    private static readonly GenerationSettings Settings = new() { MaxNewTokens = 20 };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_batch_gives_each_prompt_what_it_gets_alone(bool sampled)
    {
        var model = TinyPolicy.Create().Model;
        var (prompts, keys) = (TinyPolicy.Prompts(12), TinyPolicy.Keys(12));
        IReadOnlyList<int[]> Generate(int[] rows) => sampled
            ? BatchGenerator.Sample(model, [.. rows.Select(row => prompts[row])], [.. rows.Select(row => keys[row])], Settings, default)
            : BatchGenerator.Greedy(model, [.. rows.Select(row => prompts[row])], Settings, default);

        var together = Generate([.. Enumerable.Range(0, 12)]);
        var alone = Enumerable.Range(0, 12).SelectMany(row => Generate([row])).ToArray();
        var inShards = Generate([0, 1, 2, 3, 4]).Concat(Generate([5, 6, 7, 8, 9, 10, 11])).ToArray();

        Assert.Equal(together, alone);
        Assert.Equal(together, inShards);
        if (sampled) // the case must not be a trivial one
            Assert.True(together.Select(response => response.Length).Distinct().Count() > 2);
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(1.3)]
    public void Responses_that_wait_for_a_place_become_what_they_become_alone(double repetitionPenalty)
    {
        var model = TinyPolicy.Create().Model;
        var settings = Settings with { RepetitionPenalty = repetitionPenalty };
        var several = TinyPolicy.Prompts(41);
        int[][] prompts = [.. Enumerable.Range(0, 300).Select(i => several[i % 3 == 0 ? 0 : i % 41])]; // more of the first than there are places
        var keys = TinyPolicy.Keys(prompts.Length);

        var together = BatchGenerator.Sample(model, prompts, keys, settings, default);

        Assert.Equal(together, prompts.Zip(keys, (prompt, key) => BatchGenerator.Sample(model, [prompt], [key], settings, default)[0]));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(50)]
    public void Tokens_that_a_device_chooses_before_anybody_looks_are_the_same(int tokensAtATime)
    {
        var model = TinyPolicy.Create().Model;
        var job = BatchGenerator.Job(model, TinyPolicy.Prompts(12), TinyPolicy.Keys(12), Settings);
        var expected = TorchGeneration.Run(model, job, default, tokensAtATime: 1);
        Assert.True(expected.Select(response => response.Ids.Count).Distinct().Count() > 2);
        Assert.Equal(expected.Select(response => response.Ids), TorchGeneration.Run(model, job, default, tokensAtATime).Select(response => response.Ids));
    }

    [Fact]
    public void A_response_ends_with_its_first_end_of_text_or_at_the_limit()
    {
        var model = TinyPolicy.Create().Model;
        var settings = Settings with { EndOfTextIds = [TinyPolicy.EndOfText, 7, 9] };
        foreach (var response in BatchGenerator.Sample(model, TinyPolicy.Prompts(30), TinyPolicy.Keys(30), settings, default))
        {
            var end = Array.FindIndex(response, settings.EndOfTextIds.Contains);
            Assert.Equal(end >= 0 ? end + 1 : settings.MaxNewTokens, response.Length);
        }
    }

    [Fact]
    public void Tokens_are_drawn_with_their_probabilities()
    {
        using var scope = NewDisposeScope();
        const int Draws = 40_000;
        float[] logits = [1, 0, -1, 2, float.NegativeInfinity, 0.5f];
        var expected = nn.functional.softmax(tensor(logits), -1).data<float>().ToArray();
        var ids = Sampler.Draw(tensor(logits).unsqueeze(0).expand(Draws, -1), TinyPolicy.Keys(Draws), position: 3).data<long>().ToArray();

        var chiSquare = 0.0;
        for (var id = 0; id < logits.Length; id++)
        {
            var count = ids.Count(drawn => drawn == id);
            if (expected[id] == 0)
                Assert.Equal(0, count);
            else
                chiSquare += Math.Pow(count - (Draws * expected[id]), 2) / (Draws * expected[id]);
        }
        Assert.InRange(chiSquare, 0.01, 23.5); // 4 degrees of freedom: the 99.99 % point
    }

    [Fact]
    public void Restrictions_of_the_settings_change_what_is_sampled_as_they_say()
    {
        using var scope = NewDisposeScope();
        const int Draws = 20_000;
        var model = TinyPolicy.Create().Model;
        var prompt = TinyPolicy.Prompts(1)[0];
        var settings = new GenerationSettings
        {
            MaxNewTokens = 1,
            Temperature = 0.7,
            TopK = 9,
            TopP = 0.9,
            RepetitionPenalty = 1.3,
            MinNewTokens = 1,
        };
        var logits = model.Logits(model.Hidden(tensor(prompt.Select(id => (long)id).ToArray()).unsqueeze(0)).select(1, -1)); // [1, V]
        var processors = new LogitsProcessors { RepetitionPenalty = 1.3, MinNewTokens = 1, TopK = 9, TopP = 0.9 };
        var processed = processors.Process(logits, [prompt], newTokens: 0, new HashSet<int> { TinyPolicy.EndOfText });
        var expected = nn.functional.softmax(processors.Warp(processed, 0.7), -1).squeeze(0).data<float>().ToArray();

        var ids = BatchGenerator.Sample(model, [.. Enumerable.Repeat(prompt, Draws)], TinyPolicy.Keys(Draws), settings, default)
            .CountBy(response => response.Single()).ToDictionary();

        var chiSquare = 0.0;
        for (var id = 0; id < expected.Length; id++)
        {
            var count = ids.GetValueOrDefault(id);
            if (expected[id] == 0)
                Assert.Equal(0, count);
            else
                chiSquare += Math.Pow(count - (Draws * expected[id]), 2) / (Draws * expected[id]);
        }
        Assert.InRange(expected.Count(p => p > 0), 3, 9);
        Assert.InRange(chiSquare, 0.01, 31.8); // at most 8 degrees of freedom: the 99.99 % point
    }

    [Fact]
    public void A_limit_of_its_own_ends_each_response()
    {
        var model = TinyPolicy.Create().Model;
        var settings = Settings with { EndOfTextIds = [] };
        int[] limits = [1, 20, 7, 7, 3];
        var whole = BatchGenerator.Sample(model, TinyPolicy.Prompts(5), TinyPolicy.Keys(5), settings, default);
        var cut = BatchGenerator.Sample(model, TinyPolicy.Prompts(5), TinyPolicy.Keys(5), settings, default, limits: limits);
        Assert.Equal(whole.Zip(limits, (response, limit) => response[..limit]), cut);
    }

    [Fact]
    public void Greedy_takes_the_first_of_equals()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(1, Sampler.Greedy(tensor(new float[,] { { 0, 3, 3, 1 } })).item<long>());
    }

    [Fact]
    public void Generation_leaves_no_tensors_behind()
    {
        var model = TinyPolicy.Create().Model;
        NoLeaks.In(() => BatchGenerator.Sample(model, TinyPolicy.Prompts(6), TinyPolicy.Keys(6), Settings, default));
    }

    [Fact]
    public void Cancellation_is_heard()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(
            () => BatchGenerator.Greedy(TinyPolicy.Create().Model, TinyPolicy.Prompts(1), Settings, cancelled.Token));
    }
}
