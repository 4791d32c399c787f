using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

public sealed class Nf4CheckpointTests
{
    private static readonly string Original = RepositoryRoot.Path("samples/models/llama");

    [Fact]
    public void A_written_checkpoint_is_the_model_that_quantising_at_load_gives_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        Nf4Checkpoint.Write(Original, folder.Root);
        using var quantized = LlamaForCausalLm.Load(Original, ModelPrecision.Nf4, computeType: ScalarType.Float32);
        using var written = LlamaForCausalLm.Load(folder.Root, ModelPrecision.Nf4, computeType: ScalarType.Float32);
        var ids = tensor(new long[,] { { 1, 1222, 13, 1253, 339, 416, 272 } });
        AssertTensor.Identical(quantized.Logits(quantized.Hidden(ids)), written.Logits(written.Hidden(ids)));

        using var dense = LlamaForCausalLm.Load(folder.Root);
        AssertTensor.Close(quantized.Logits(quantized.Hidden(ids)), dense.Logits(dense.Hidden(ids)), 1e-3);
    }

    [Fact]
    public void Every_projection_is_in_four_bits_and_all_else_as_it_was()
    {
        using var folder = new TemporaryFolder();
        var (done, total) = (0L, 0L);
        Nf4Checkpoint.Write(Original, folder.Root, (now, all) => (done, total) = (now, all));
        using var model = LlamaForCausalLm.Load(Original, ModelPrecision.Nf4, computeType: ScalarType.Float32);
        using var before = HuggingFaceFolder.Open(Original);
        using var after = HuggingFaceFolder.Open(folder.Root);
        var projections = model.Projections().Select(p => $"{p.Name}.weight").ToHashSet();
        Assert.All(projections, name => Assert.Equal(ScalarType.Byte, after.Find(name)!.Type));
        Assert.All(before.TensorNames.Except(projections), name =>
        {
            using var scope = NewDisposeScope();
            AssertTensor.Identical(before.Load(name), after.Load(name), name);
        });
        Assert.Equal(before.TensorNames.Sum(name => before.Find(name)!.Length), total);
        Assert.Equal(total, done);
    }

    [Fact]
    public void It_is_not_quantised_twice()
    {
        using var first = new TemporaryFolder();
        using var second = new TemporaryFolder();
        Nf4Checkpoint.Write(Original, first.Root);
        var error = Assert.Throws<InvalidDataException>(() => Nf4Checkpoint.Write(first.Root, second.Root));
        Assert.Contains("already", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Writing_leaves_no_tensors_behind()
    {
        using var folder = new TemporaryFolder();
        NoLeaks.In(() => Nf4Checkpoint.Write(Original, folder.Root));
    }
}
