using System.Buffers.Binary;
using System.Text;
using RlhfFunctions.Ml.Artifacts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Artifacts;

public class SafetensorsFileTests
{
    [Fact]
    public void Tensors_survive_a_round_trip_and_equal_ones_give_equal_bytes()
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>
        {
            ["b"] = tensor(new float[] { 1, 2, 3, 4, 5, 6 }, 2, 3),
            ["a"] = tensor(new long[] { 7, 8 }),
            ["half"] = tensor(new float[] { 0.5f, -2 }).to(ScalarType.Float16),
            ["empty"] = zeros(0, 3),
        };
        var bytes = SafetensorsFile.Write(tensors);
        Assert.Equal(bytes, SafetensorsFile.Write(tensors.Reverse().ToDictionary()));

        using var file = SafetensorsFile.Read(bytes, "round trip");
        foreach (var (name, expected) in tensors)
        {
            var actual = file.Load(name);
            Assert.Equal(expected.dtype, actual.dtype);
            Assert.Equal(expected.shape, actual.shape);
            Assert.True(expected.equal(actual).all().item<bool>(), name);
        }
    }

    [Fact]
    public void Tensor_by_tensor_in_any_order_the_same_file_is_written()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var tensors = new Dictionary<string, Tensor>
        {
            ["b"] = tensor(new float[] { 1, 2, 3, 4, 5, 6 }, 2, 3),
            ["a"] = tensor(new long[] { 7, 8 }),
            ["half"] = tensor(new float[] { 0.5f, -2 }).to(ScalarType.BFloat16),
            ["codes"] = tensor(new byte[] { 1, 2, 3 }, 3, 1),
            ["empty"] = zeros(0, 3),
        };
        var plans = tensors.Select(t => new SafetensorsPlan(t.Key, t.Value.dtype, t.Value.shape)).ToList();
        using (var writer = new SafetensorsWriter(folder.Path("x.safetensors"), plans, SafetensorsFile.PyTorchMetadata))
        {
            Assert.Throws<ArgumentException>(() => writer.Write("b", zeros(3, 2)));
            Assert.Throws<ArgumentException>(() => writer.Write("c", zeros(3, 2)));
            foreach (var (name, values) in tensors.Skip(1))
                writer.Write(name, values);
            Assert.Contains("b", Assert.Throws<InvalidOperationException>(writer.Finish).Message, StringComparison.Ordinal);
            writer.Write("b", tensors["b"]);
            writer.Finish();
        }
        Assert.Equal(SafetensorsFile.Write(tensors, SafetensorsFile.PyTorchMetadata), System.IO.File.ReadAllBytes(folder.Path("x.safetensors")));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    public void Parts_of_a_tensor_larger_than_a_piece_are_those_of_the_whole(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var whole = arange(700_000).remainder(2039).view(700, 1000).to(ScalarType.Float32);
        using var file = SafetensorsFile.Read(SafetensorsFile.Write(new Dictionary<string, Tensor> { ["first"] = ones(3), ["x"] = whole }));
        AssertTensor.Identical(whole.to(type), file.Load("x", type));
        foreach (var (start, length) in new[] { (0, 700_000), (699_999, 1), (12_345, 600_000), (7, 0) })
        {
            var part = empty(length, type);
            file.Load("x", start, part);
            AssertTensor.Identical(whole.to(type).view(-1).narrow(0, start, length).clone(), part, $"from {start}");
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Load("x", 699_999, empty(2)));
        Assert.Throws<KeyNotFoundException>(() => file.Load("y", 0, empty(2)));
    }

    [Theory]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "x")] // data cut off
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}""", 12, "x")] // shape and offsets disagree
    [InlineData("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", 6, "overlap")]
    [InlineData("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12, "y")] // a hole
    [InlineData("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 8, "after the last")]
    [InlineData("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "x")]
    [InlineData("""{"x":{"dtype":"F32","shape":"1","data_offsets":[0,4]}}""", 4, "header")]
    [InlineData("""{"x":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}""", 4, "x")]
    [InlineData("""{"x":{"dtype":"F32"}}""", 4, "x")]
    [InlineData("""[]""", 0, "header")]
    [InlineData("""{"x":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}}""", 4, "Q7")]
    [InlineData("""{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "x")]
    [InlineData("""{"x":""", 4, "broken.safetensors")]
    public void A_broken_file_is_refused_with_its_name_and_what_is_wrong(string header, int dataBytes, string names)
    {
        var error = Assert.Throws<InvalidDataException>(() => Load(File(header, dataBytes)));
        Assert.Contains("broken.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Contains(names, error.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Matches("Fetch (it|the file) again|Convert the file", error.Message);
    }

    [Fact]
    public void A_header_that_reaches_past_the_end_is_refused()
    {
        var bytes = new byte[12];
        foreach (var length in new[] { 5, 1L << 40, -1 })
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes, length);
            var message = Assert.Throws<InvalidDataException>(() => Load(bytes)).Message;
            Assert.Contains("broken.safetensors", message, StringComparison.Ordinal);
            Assert.Contains("Fetch it again", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_pointer_of_git_lfs_is_recognised_and_refused_with_the_remedy()
    {
        var pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 2200000000\n"u8.ToArray();
        Assert.Contains("git lfs pull", Assert.Throws<InvalidDataException>(() => Load(pointer)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pickle_is_refused_with_the_reason()
    {
        var error = Assert.Throws<InvalidDataException>(() => Load([0x50, 0x4b, 3, 4, .. new byte[60]]));
        Assert.Contains("pickle", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    private static byte[] File(string header, int dataBytes)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + json.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        return bytes;
    }

    private static void Load(byte[] bytes)
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Read(bytes, "broken.safetensors");
        file.LoadAll();
    }
}
