using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>The event file, read back without the classes that wrote it: check sums bit by bit, messages field by field.</summary>
public sealed class EventFileTests
{
    private static readonly DateTimeOffset StartedAt = new(2026, 1, 31, 12, 0, 0, 250, TimeSpan.Zero);

    private static readonly JsonObject[] Metrics =
    [
        new() { ["step"] = 0, [MetricNames.Kl] = 0.0, [MetricNames.ResponseLengthMean] = 12.5, [MetricNames.TokensPerSecond] = 50.0, [MetricNames.UpdateSeconds] = 1.5 },
        new() { ["step"] = 1, [MetricNames.ResponseLengthMean] = 25.0, [MetricNames.TokensPerSecond] = 100.0, [MetricNames.UpdateSeconds] = 0.5 }, // its KL was not finite
        new() { ["step"] = 2, [MetricNames.Kl] = -1.25, [MetricNames.RewardMean] = 3e-7, [MetricNames.UpdateSeconds] = 0.25 },
    ];

    [Fact]
    public void The_check_sum_of_the_test_is_the_one_of_the_standard()
    {
        Assert.Equal(0xE3069283u, Crc32C("123456789"u8)); // the check value of CRC-32C (Castagnoli), as RFC 3720 defines it
    }

    [Fact]
    public void Every_metric_of_every_step_is_a_scalar_at_its_step()
    {
        var events = Read(EventFile.Write(Metrics, StartedAt, batchSize: 8));
        Assert.Equal("brain.Event:2", events[0].FileVersion);
        Assert.Equal([0L, 1, 2], events.Skip(1).Select(one => one.Step));
        foreach (var (metrics, written) in Metrics.Zip(events.Skip(1)))
        {
            var expected = metrics.Where(metric => metric.Key != "step").ToDictionary(metric => metric.Key, metric => (float)metric.Value!.GetValue<double>());
            Assert.Equal(expected, written.Scalars);
        }
    }

    [Fact]
    public void Times_are_those_of_the_work_and_not_of_the_clock()
    {
        byte[] file = EventFile.Write(Metrics, StartedAt, batchSize: 8);
        Assert.Equal(file, EventFile.Write(Metrics, StartedAt, batchSize: 8));
        double start = StartedAt.ToUnixTimeMilliseconds() / 1e3;
        // 8 responses of 12.5 tokens at 50 a second take 2 s, the update 1.5 s; then 2 s and 0.5 s; then nothing is known but 0.25 s.
        double[] expected = [0, 3.5, 6, 6.25];
        Assert.Equal(expected, Read(file).Select(one => one.WallTime - start), (x, y) => Math.Abs(x - y) < 1e-6);
    }

    /// <summary>The events of a file, every length and check sum of which must hold.</summary>
    internal static IReadOnlyList<WrittenEvent> Read(byte[] file)
    {
        var events = new List<WrittenEvent>();
        for (var rest = file.AsMemory(); rest.Length > 0;)
        {
            int length = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(rest.Span));
            Assert.Equal(Masked(rest.Span[..8]), BinaryPrimitives.ReadUInt32LittleEndian(rest.Span[8..]));
            var data = rest.Slice(12, length);
            Assert.Equal(Masked(data.Span), BinaryPrimitives.ReadUInt32LittleEndian(rest.Span[(12 + length)..]));
            events.Add(Parse(data.ToArray()));
            rest = rest[(16 + length)..];
        }

        return events;
    }

    /// <summary>Event of tensorflow/core/util/event.proto: 1 wall_time, 2 step, 3 file_version, 5 summary; Summary.Value: 1 tag, 2 simple_value.</summary>
    private static WrittenEvent Parse(byte[] data)
    {
        double wallTime = 0;
        long step = 0;
        string version = "";
        var scalars = new Dictionary<string, float>();
        var input = new CodedInputStream(data);
        while (input.ReadTag() is > 0 and var tag)
        {
            if (tag == Tag(1, WireFormat.WireType.Fixed64)) wallTime = input.ReadDouble();
            else if (tag == Tag(2, WireFormat.WireType.Varint)) step = input.ReadInt64();
            else if (tag == Tag(3, WireFormat.WireType.LengthDelimited)) version = Encoding.UTF8.GetString(input.ReadBytes().Span);
            else if (tag == Tag(5, WireFormat.WireType.LengthDelimited)) ParseSummary(input.ReadBytes(), scalars);
            else Assert.Fail($"An event has an unexpected field, tag {tag}.");
        }

        return new WrittenEvent(wallTime, step, version, scalars);
    }

    private static void ParseSummary(ByteString data, Dictionary<string, float> scalars)
    {
        var input = data.CreateCodedInput();
        while (input.ReadTag() is > 0 and var tag)
        {
            Assert.Equal(Tag(1, WireFormat.WireType.LengthDelimited), tag);
            var value = input.ReadBytes().CreateCodedInput();
            Assert.Equal(Tag(1, WireFormat.WireType.LengthDelimited), value.ReadTag());
            string name = value.ReadString();
            Assert.Equal(Tag(2, WireFormat.WireType.Fixed32), value.ReadTag());
            scalars.Add(name, value.ReadFloat());
        }
    }

    private static uint Tag(int field, WireFormat.WireType type)
    {
        return WireFormat.MakeTag(field, type);
    }

    private static uint Masked(ReadOnlySpan<byte> data)
    {
        uint crc = Crc32C(data);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8u);
    }

    private static uint Crc32C(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte one in data)
        {
            crc ^= one;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
        }

        return ~crc;
    }

    internal sealed record WrittenEvent(double WallTime, long Step, string FileVersion, IReadOnlyDictionary<string, float> Scalars);
}
