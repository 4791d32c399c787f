using System.Globalization;
using System.Text.RegularExpressions;
using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Tests.Text;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Data;

public class PromptTests
{
    [Fact]
    public void The_default_prompt_is_the_notebooks() =>
        Assert.Equal("\nSummarize the following conversation.\n\n{dialogue} \n\nSummary:\n", PromptTemplate.Default.Fill("{dialogue} "));

    [Fact]
    public void A_template_needs_its_placeholder()
    {
        var failure = Assert.Throws<ArgumentException>(() => new PromptTemplate("Summarize: {Dialogue}"));
        Assert.Contains("{dialogue}", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Selection_takes_the_first_rows_before_it_looks_at_lengths()
    {
        DialogueRow[] rows = [Row(200), Row(201), Row(1024), Row(1025), Row(500)];
        Assert.Equal([rows[1], rows[2], rows[4]], DialogueSelection.Select(rows));
        Assert.Equal([rows[1]], DialogueSelection.Select(rows, firstRows: 2));
        Assert.Equal([rows[0]], DialogueSelection.Select(rows, longerThan: 10, atMost: 200));

        static DialogueRow Row(int characters) => new("x", string.Concat(Enumerable.Repeat("😀", characters)), "", "");
    }

    [Fact]
    [Trait("Category", "Parity")]
    public void DialogSum_gives_the_rows_the_notebook_trains_on()
    {
        var data = DialogueReader.ReadFolder(SharedFolder.Path("data/dialogsum"));
        Assert.Equal((12_460, 500, 1_500), (data.Train.Count, data.Validation.Count, data.Test.Count));
        Assert.Equal("test_0_1", data.Test[0].Id);
        Assert.Equal(
            (822, 84, 82),
            (DialogueSelection.Select(data.Train, 1000).Count, DialogueSelection.Select(data.Validation, 100).Count, DialogueSelection.Select(data.Test, 100).Count));
    }

    [Fact]
    [Trait("Category", "Parity")]
    public void The_studys_first_test_prompt_has_the_ids_it_was_trained_with()
    {
        var stated = Regex.Match(File.ReadAllText(SharedFolder.Path("study/README.md")), @"→ (?<count>\d+) ids, (?<ids>[\d ]+) …");
        var expected = stated.Groups["ids"].Value.Split(' ').Select(id => int.Parse(id, CultureInfo.InvariantCulture)).ToArray();
        var dialogue = DialogueReader.ReadFile(SharedFolder.Path("study/dialogues/test.csv"))[0].Dialogue;
        var ids = LlamaText.FromFolder(SharedFolder.Path("study/llama")).Encode(PromptTemplate.Default.Fill(dialogue));
        Assert.Equal(stated.Groups["count"].Value, ids.Length.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(expected, ids[..expected.Length]);
    }

    [Fact]
    public void A_chat_prompt_is_a_users_turn_by_the_models_template_and_begins_once()
    {
        using var folder = TokenizerJsonTests.SampleFolder("Llama 3");
        folder.Write("chat_template.jinja", "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}");
        var data = new DataSettings { Train = "", Test = "", PromptTemplate = "Say: {dialogue}", Chat = true, SystemPrompt = "Be kind." };
        var text = LlamaText.FromFolder(folder.Root);
        var ids = DialoguePrompts.Of(data, folder.Root).Encode("hello");
        Assert.Equal("<s><|im_start|>system:Be kind.<|im_end|><|im_start|>user:Say: hello<|im_end|><|im_start|>", text.Decode(ids, skipSpecialTokens: false));
        Assert.Single(ids, id => id == text.BosId);
        Assert.Equal(text.Encode("Say: hello"), DialoguePrompts.Of(data with { Chat = false }, folder.Root).Encode("hello"));
    }

    [Fact]
    public void A_chat_without_a_chat_template_is_refused()
    {
        var data = new DataSettings { Train = "", Test = "", Chat = true };
        var message = Assert.Throws<InvalidDataException>(() => DialoguePrompts.Of(data, RepositoryRoot.Path("samples/models/llama"))).Message;
        Assert.Contains("data.chat", message, StringComparison.Ordinal);
        Assert.Contains("chat_template.jinja", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Each_epoch_visits_every_row_at_most_once() =>
        Gen.Select(Gen.ULong, Gen.Int[1, 200], Gen.Int[1, 50], Gen.Int[0, 1000]).Where((_, size, batch, _) => batch <= size)
            .Sample((seed, size, batch, epoch) =>
            {
                var perEpoch = size / batch;
                var rows = Enumerable.Range(epoch * perEpoch, perEpoch).SelectMany(step => PromptOrder.Batch(seed, size, batch, step)).ToArray();
                Assert.Equal(perEpoch * batch, rows.Distinct().Count());
                Assert.All(rows, row => Assert.InRange(row, 0, size - 1));
            });

    [Fact]
    public void Seeds_and_epochs_have_orders_of_their_own()
    {
        var orders = Enumerable.Range(0, 20).SelectMany(seed => Enumerable.Range(0, 20).Select(epoch => PromptOrder.Batch((ulong)seed, 30, 30, epoch)));
        Assert.Equal(400, orders.Select(order => string.Join(',', order)).Distinct().Count());
    }

    [Fact]
    public void Every_row_is_as_likely_to_come_first()
    {
        var firsts = Enumerable.Range(0, 10_000).CountBy(seed => PromptOrder.Batch((ulong)seed, 10, 1, 0)[0]).ToDictionary();
        Assert.All(Enumerable.Range(0, 10), row => Assert.InRange(firsts[row], 850, 1150)); // five standard deviations
    }

    /// <summary>A change here gives every stored seed another run.</summary>
    [Fact]
    public void The_order_of_a_seed_never_changes()
    {
        Assert.Equal([5, 0, 8, 2, 6], PromptOrder.Batch(seed: 42, datasetSize: 10, batchSize: 5, step: 0));
        Assert.Equal([4, 1, 2, 3, 7], PromptOrder.Batch(seed: 42, datasetSize: 10, batchSize: 5, step: 2));
    }

    [Fact]
    public void A_batch_larger_than_the_data_is_refused() =>
        Assert.Contains("32", Assert.Throws<ArgumentOutOfRangeException>(() => PromptOrder.Batch(1, 31, 32, 0)).Message, StringComparison.Ordinal);
}
