using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Tests.Rollout;

/// <summary>transformers' generate, greedily, on left-padded batches with several options.</summary>
[Trait("Category", "Parity")]
public class GenerationParityTests
{
    [Fact]
    public void Greedy_batches_continue_as_transformers_does()
    {
        var compared = 0;
        foreach (var file in Directory.EnumerateFiles(SharedFolder.Path("golden/hf/llama"), "golden.json", SearchOption.AllDirectories))
        {
            if (!GoldenJson.Read(file).TryGetProperty("greedy", out var cases))
                continue;
            using var model = LlamaForCausalLm.Load(Path.GetDirectoryName(file)!);
            foreach (var golden in cases.EnumerateArray())
            {
                var options = golden.GetProperty("options");
                var prompts = golden.GetProperty("prompts").IntegerRows();
                var endOfText = LogitsProcessorsTests.EndOfText(options, "eos_token_id") ?? [];
                var maxNewTokens = options.GetProperty("max_new_tokens").GetInt32();
                var settings = new GenerationSettings { MaxNewTokens = maxNewTokens, EndOfTextIds = endOfText };
                var processors = LogitsProcessorsTests.FromOptions(options);
                var expected = golden.GetProperty("new_ids").IntegerRows()
                    .Select(ids => ids[..(Array.FindIndex(ids, endOfText.Contains) is >= 0 and var end ? end + 1 : ids.Length)]).ToArray();

                var actual = BatchGenerator.Greedy(model, prompts, settings, CancellationToken.None, processors);

                // transformers counts padding as seen tokens and as length, so that there only the longest prompt gets what it gets alone.
                var countsPadding = processors != LogitsProcessors.None with { MinNewTokens = processors.MinNewTokens };
                var longest = prompts.Max(prompt => prompt.Length);
                for (var row = 0; row < prompts.Length; row++)
                    if (!countsPadding || prompts[row].Length == longest)
                        Assert.True(expected[row].SequenceEqual(actual[row]), $"{file} {options} {row}: {string.Join(' ', actual[row])}");
                compared++;
            }
        }
        Assert.True(compared > 0);
    }

    [Fact]
    public void Prompts_are_answered_as_by_transformers_one_by_one_and_as_a_batch()
    {
        var golden = GoldenJson.Read("golden/hf/llama/text/golden.json");
        using var model = LlamaForCausalLm.Load(SharedFolder.Path("golden/hf/llama/text"));
        int[] endOfText = [golden.GetProperty("eos").GetInt32()];
        var settings = new GenerationSettings { MaxNewTokens = golden.GetProperty("max_new_tokens").GetInt32(), EndOfTextIds = endOfText };
        var examples = golden.GetProperty("one_by_one").EnumerateArray().ToArray();
        int[][] prompts = Array.ConvertAll(examples, example => example.GetProperty("prompt_ids").Integers());
        foreach (var (example, prompt) in examples.Zip(prompts))
        {
            var alone = BatchGenerator.Greedy(model, [prompt], settings, CancellationToken.None)[0];
            Assert.Equal(Cut(example.GetProperty("new_ids").Integers()), alone);
        }
        var together = BatchGenerator.Greedy(model, prompts, settings, CancellationToken.None);
        Assert.Equal(golden.GetProperty("batched_new_ids").IntegerRows().Select(Cut), together);

        int[] Cut(int[] ids) => ids[..(Array.FindIndex(ids, endOfText.Contains) is >= 0 and var end ? end + 1 : ids.Length)];
    }
}
