using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.Contracts;

public sealed class SourceTests
{
    public static TheoryData<string, Source, string> Good => new()
    {
        { "file:samples/models/llama", new FileSource("samples/models/llama"), "samples/models/llama" },
        { "file:/models/a b@c", new FileSource("/models/a b@c"), "/models/a b@c" },
        { "blob:models/tiny-0123", new BlobSource("models/tiny-0123"), "models/tiny-0123" },
        { "hf:tiny/llama", new HubSource("tiny/llama"), "tiny/llama" },
        { "hf:tiny/llama-1.1B_v0@refs/pr/1", new HubSource("tiny/llama-1.1B_v0", "refs/pr/1"), "tiny/llama-1.1B_v0" },
        { "hf:datasets/tiny/talks/train.csv", new HubSource("tiny/talks", DataFile: "train.csv"), "datasets/tiny/talks" },
        { "hf:datasets/tiny/talks@v1.0/data/train set.csv", new HubSource("tiny/talks", "v1.0", "data/train set.csv"), "datasets/tiny/talks" },
        { "hf:datasets/tiny/talks@refs/convert/parquet/a.csv", new HubSource("tiny/talks", "refs/convert/parquet", "a.csv"), "datasets/tiny/talks" },
    };

    [Theory]
    [MemberData(nameof(Good))]
    public void A_source_is_read_and_written(string spelling, Source source, string name)
    {
        Assert.Equal(source, Source.Parse(spelling));
        Assert.Equal(spelling, source.ToString());
        Assert.Equal(name, source.Name);
    }

    [Theory]
    [InlineData("samples/models/llama")]
    [InlineData("file:")]
    [InlineData("hf:llama")]
    [InlineData("hf:tiny/llama/model.safetensors")]
    [InlineData("hf:tiny/llama@")]
    [InlineData("hf:../llama")]
    [InlineData("hf:datasets/tiny/talks")]
    [InlineData("hf:datasets/tiny/talks/../secret.csv")]
    [InlineData("hf:datasets/tiny/talks//train.csv")]
    [InlineData("hf:datasets/tiny/talks/data/")]
    [InlineData("https://huggingface.co/tiny/llama")]
    public void What_is_none_is_refused_with_all_the_forms(string spelling)
    {
        var error = Assert.Throws<FormatException>(() => Source.Parse(spelling));
        Assert.All(["file:", "blob:", "hf:owner/name", "hf:datasets/"], form => Assert.Contains(form, error.Message, StringComparison.Ordinal));
    }
}
