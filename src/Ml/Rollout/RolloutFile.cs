using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// A shard's samples as one safetensors file: ragged lists end to end with their lengths, the texts as JSON in the metadata.
/// Equal samples give equal bytes.
/// </summary>
public static class RolloutFile
{
    private const string TextsKey = "texts";

    /// <summary>The file of some samples.</summary>
    public static byte[] Write(IReadOnlyList<RolloutSample> samples)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>
        {
            ["index"] = Each(sample => sample.Index),
            ["has_ended"] = Each(sample => sample.HasEnded ? 1 : 0),
            ["score"] = Each(sample => sample.Score),
            ["terms_length"] = Each(sample => sample.Terms.Length),
            ["terms"] = Joined(sample => sample.Terms),
            ["label_probability"] = Each(sample => sample.LabelProbability ?? float.NaN),
            ["disagreement"] = Each(sample => sample.Disagreement ?? float.NaN),
            ["query_length"] = Each(sample => sample.Query.Length),
            ["query"] = Joined(sample => sample.Query),
            ["response_length"] = Each(sample => sample.Response.Length),
            ["response"] = Joined(sample => sample.Response),
            ["logprobs"] = Joined(sample => sample.LogProbs),
            ["ref_logprobs"] = Joined(sample => sample.ReferenceLogProbs),
            ["values"] = Joined(sample => sample.Values),
            ["kl_penalties"] = Joined(sample => sample.KlPenalties),
        };
        var texts = JsonSerializer.Serialize(samples.Select(sample => sample.Text));
        return SafetensorsFile.Write(tensors, new Dictionary<string, string> { [TextsKey] = texts });

        Tensor Each<T>(Func<RolloutSample, T> value) => From(samples.Select(value));

        Tensor Joined<T>(Func<RolloutSample, T[]> values) => From(samples.SelectMany(values));

        static Tensor From<T>(IEnumerable<T> values) => values switch
        {
            IEnumerable<int> integers => tensor(integers.ToArray(), int32),
            IEnumerable<float> floats => tensor(floats.ToArray(), float32),
            _ => throw new NotSupportedException($"{typeof(T)} has no place in a rollout file."),
        };
    }

    /// <summary>The samples of a file.</summary>
    /// <exception cref="InvalidDataException">It is no rollout file.</exception>
    public static IReadOnlyList<RolloutSample> Read(ReadOnlyMemory<byte> bytes)
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Read(bytes, "rollouts");
        if (!file.Metadata.TryGetValue(TextsKey, out var json) || JsonSerializer.Deserialize<string[]>(json) is not { } texts)
            throw new InvalidDataException("This safetensors file holds no rollouts: it has no texts.");
        var (indices, scores) = (Get<int>("index"), Get<float>("score"));
        var (judged, disagreements) = (Get<float>("label_probability"), Get<float>("disagreement"));
        var (hasEnded, terms) = (Get<int>("has_ended"), Split(Get<float>("terms"), Get<int>("terms_length")));
        var queries = Split(Get<int>("query"), Get<int>("query_length"));
        var lengths = Get<int>("response_length");
        var responses = Split(Get<int>("response"), lengths);
        var (logProbs, references) = (SplitIfAny("logprobs"), SplitIfAny("ref_logprobs"));
        var (values, penalties) = (SplitIfAny("values"), SplitIfAny("kl_penalties"));
        return [.. indices.Select((index, i) => new RolloutSample
        {
            Index = index,
            Query = queries[i],
            Response = responses[i],
            LogProbs = logProbs[i],
            ReferenceLogProbs = references[i],
            Values = values[i],
            KlPenalties = penalties[i],
            Text = texts[i],
            HasEnded = hasEnded[i] != 0,
            Score = scores[i],
            Terms = terms[i],
            LabelProbability = float.IsNaN(judged[i]) ? null : judged[i],
            Disagreement = float.IsNaN(disagreements[i]) ? null : disagreements[i],
        })];

        float[][] SplitIfAny(string name) => Get<float>(name) is { Length: > 0 } joined ? Split(joined, lengths) : [.. lengths.Select(_ => Array.Empty<float>())];

        T[] Get<T>(string name)
            where T : unmanaged => file.Load(name).data<T>().ToArray();

        static T[][] Split<T>(T[] joined, int[] lengths)
        {
            var start = 0;
            return [.. lengths.Select(length => joined[start..(start += length)])];
        }
    }

    /// <summary>The whole batch of a step from its shards, in sample order.</summary>
    /// <exception cref="InvalidDataException">A sample is missing or occurs twice.</exception>
    public static IReadOnlyList<RolloutSample> Merge(IEnumerable<IReadOnlyList<RolloutSample>> shards)
    {
        var samples = shards.SelectMany(shard => shard).OrderBy(sample => sample.Index).ToArray();
        for (var i = 0; i < samples.Length; i++)
            if (samples[i].Index != i)
                throw new InvalidDataException(
                    $"The shards of this step don't fit together: sample {i} is missing or sample {samples[i].Index} occurs twice.");
        return samples;
    }
}
