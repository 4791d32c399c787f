using RlhfFunctions.Hosting;

namespace RlhfFunctions.Functions.Tests.Hosting;

/// <summary>What a failed run says of where files lie on the machine that failed: nothing.</summary>
public sealed class FailureWordsTests
{
    [Theory]
    [InlineData("Could not find file '/home/app/.rlhf/models/ab12/tokenizer.json'.", "Could not find file 'tokenizer.json'.")]
    [InlineData("/tmp/CoreFxPipe_x is full", "CoreFxPipe_x is full")]
    [InlineData(@"C:\Users\Ada\models\config.json has no key hidden_size", "config.json has no key hidden_size")]
    [InlineData("read \"/a/b/c.bin\": 3 bytes", "read \"c.bin\": 3 bytes")]
    public void Folders_of_a_machine_are_left_out(string message, string told)
    {
        Assert.Equal(told, DurableClientExtensions.WithoutFolders(message));
    }

    [Theory]
    [InlineData("PrepareDataset: file:samples/dialogues/train.csv has no column \"nix\".")]
    [InlineData("file:/data/sets/train.csv does not exist.")]
    [InlineData("Blob runs/a/rollouts/00001/0 was changed.")]
    [InlineData("https://huggingface.co/tiny/llama does not answer.")]
    [InlineData("Ask again: POST /api/adapters/{runId}/promote.")]
    [InlineData("12/24 of 3/4, and and/or.")]
    public void What_names_a_source_a_blob_or_an_address_is_kept(string message)
    {
        Assert.Equal(message, DurableClientExtensions.WithoutFolders(message));
    }
}
