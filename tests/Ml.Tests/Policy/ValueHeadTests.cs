using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Policy;

public sealed class ValueHeadTests
{
    [Fact]
    public void It_is_saved_under_trls_names_in_float32_and_comes_back()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var head = new ValueHead(6, CPU);
        head.Weight.copy_(arange(6).view(1, 6).div(7));
        head.Bias.fill_(0.3);
        using var file = SafetensorsFile.Read(head.ToSafetensors());
        Assert.Equal(["v_head.summary.bias", "v_head.summary.weight"], file.Entries.Keys);
        Assert.All(file.Entries.Values, entry => Assert.Equal(ScalarType.Float32, entry.Type));
        Assert.Equal([1L, 6], file.Entries["v_head.summary.weight"].Shape);
        Assert.Equal("pt", file.Metadata["format"]);

        using var other = new ValueHead(6, CPU);
        other.Load(file);
        AssertTensor.Identical(head.Weight, other.Weight);
        AssertTensor.Identical(head.Bias, other.Bias);
        using var wider = new ValueHead(7, CPU);
        Assert.Contains("[1, 7]", Assert.Throws<InvalidDataException>(() => wider.Load(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_pickle_that_trl_saves_is_refused_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        folder.Write("pytorch_model.bin", "PK\u0003\u0004 and more");
        var message = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(folder.Path("pytorch_model.bin"))).Message;
        Assert.Contains("pytorch_model.bin", message, StringComparison.Ordinal);
        Assert.Contains("runs code", message, StringComparison.Ordinal);
        File.Move(folder.Path("pytorch_model.bin"), folder.Path("value_head.safetensors"));
        message = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(folder.Path("value_head.safetensors"))).Message;
        Assert.Contains("runs code", message, StringComparison.Ordinal); // another name does not make it another file
    }
}
