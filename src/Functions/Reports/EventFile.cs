using System.Buffers.Binary;
using System.Numerics;
using System.Text.Json.Nodes;
using Google.Protobuf;
using RlhfFunctions.Contracts;
using Tensorboard;

namespace RlhfFunctions.Reports;

/// <summary>
/// A run's metrics as TensorBoard reads them: a file of records, each an Event message with its length and check sums around it
/// (TFRecord). TorchSharp's own writer stamps the clock's time and chooses the file's name; a published file has the same bytes at
/// every attempt.
/// </summary>
internal static class EventFile
{
    private const string Version = "brain.Event:2";

    /// <param name="metrics">One object a step: its number, and the metrics by name.</param>
    /// <param name="startedAt">When the run was asked for: the time of the first event.</param>
    /// <param name="batchSize">Responses of a step.</param>
    /// <returns>A scalar for each metric of each step. A step's time is what rollouts and updates took so far, after the start.</returns>
    public static byte[] Write(IReadOnlyList<JsonObject> metrics, DateTimeOffset startedAt, int batchSize)
    {
        using var file = new MemoryStream();
        double time = startedAt.ToUnixTimeMilliseconds() / 1e3;
        Append(file, new Event { WallTime = time, FileVersion = Version });
        foreach (var step in metrics)
        {
            time += Seconds(step, batchSize);
            var scalars = step.Where(metric => metric.Key != "step" && metric.Value is not null)
                .Select(metric => new Summary.Types.Value { Tag = metric.Key, SimpleValue = (float)metric.Value!.GetValue<double>() });
            Append(file, new Event { WallTime = time, Step = step["step"]!.GetValue<int>(), Summary = new Summary { Value = { scalars } } });
        }

        return file.ToArray();
    }

    /// <summary>Seconds of a step's generation and of its update; what is not reported counts as none.</summary>
    private static double Seconds(JsonObject step, int batchSize)
    {
        double tokensPerSecond = Metric(MetricNames.TokensPerSecond);
        double rollout = tokensPerSecond > 0 ? batchSize * Metric(MetricNames.ResponseLengthMean) / tokensPerSecond : 0;
        return rollout + Metric(MetricNames.UpdateSeconds);

        double Metric(string name) => step[name]?.GetValue<double>() ?? 0;
    }

    /// <summary>Length, its check sum, the message, its check sum; all numbers little-endian.</summary>
    private static void Append(MemoryStream file, Event message)
    {
        byte[] data = message.ToByteArray();
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(number, (ulong)data.Length);
        file.Write(number);
        file.Write(CheckSum(number));
        file.Write(data);
        file.Write(CheckSum(data));
    }

    /// <summary>CRC-32C, rotated and shifted as TFRecord wants it, so that check sums of check sums stay apart.</summary>
    private static byte[] CheckSum(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte one in data) crc = BitOperations.Crc32C(crc, one);
        uint masked = unchecked(BitOperations.RotateRight(~crc, 15) + 0xA282EAD8u);
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, masked);
        return bytes;
    }
}
