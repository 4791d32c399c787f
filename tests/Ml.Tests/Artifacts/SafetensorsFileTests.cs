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
