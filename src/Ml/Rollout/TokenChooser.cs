using RlhfFunctions.Ml.Decoding;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>Chooses the next tokens of responses from what a <see cref="FusedLlama"/> says, and notes what it thought of them.</summary>
internal sealed class TokenChooser
{
    private readonly FusedLlama _llama;
    private readonly GenerationJob _job;
    private readonly NotedResponse[] _responses;
    private readonly float[]? _valueWeight;
    private readonly float _valueBias;

    public TokenChooser(FusedLlama llama, GenerationJob job, NotedResponse[] responses)
    {
        (_llama, _job, _responses) = (llama, job, responses);
        if (job.ValueHead is not { } head)
            return;
        using var scope = NewDisposeScope();
        _valueWeight = head.Weight.detach().data<float>().ToArray();
        _valueBias = head.Bias.item<float>();
    }

    /// <summary>One token for each response, from the chunk just fed.</summary>
    /// <param name="places">The place among the chunk's wanted tokens, and the response's row.</param>
    public void Choose(IEnumerable<(int Wanted, int Row)> places)
    {
        if (_job.Processors == LogitsProcessors.None)
            foreach (var (wanted, row) in places)
                Choose(wanted, row, _llama.LogitsOf(wanted), _job.Settings.Temperature, isExact: true);
        else
            foreach (var alike in places.GroupBy(place => _responses[place.Row].Ids.Count))
                ChooseRestricted(alike.Key, [.. alike]);
    }

    private void Choose(int wanted, int row, ReadOnlySpan<float> logits, double temperature, bool isExact)
    {
        var response = _responses[row];
        var (token, logProb) = _job.SampleKeys is null
            ? Sampler.Greedy(logits, temperature)
            : Sampler.Draw(logits, temperature, _job.SampleKeys[row], response.Ids.Count);
        if (isExact)
            response.LogProbs.Add(logProb);
        if (_valueWeight is not null)
            response.Values.Add(Value(_llama.StateOf(wanted)));
        response.Add(row, token, _job);
    }

    private float Value(ReadOnlySpan<float> state)
    {
        var value = _valueBias;
        for (var i = 0; i < state.Length; i++)
            value += state[i] * _valueWeight![i];
        return value;
    }

    /// <summary>For responses that have as many tokens each.</summary>
    private void ChooseRestricted(int newTokens, (int Wanted, int Row)[] places)
    {
        using var scope = NewDisposeScope();
        int[][] sequences = [.. places.Select(place => (int[])[.. _job.Prompts[place.Row], .. _responses[place.Row].Ids])];
        var logits = _llama.Logits.index_select(0, tensor(Array.ConvertAll(places, place => (long)place.Wanted))); // [b, V]
        var processed = _job.Processors.Process(logits, sequences, newTokens, _job.EndOfText); // [b, V]
        if (_job.SampleKeys is not null)
            processed = _job.Processors.Warp(processed, _job.Settings.Temperature);
        var numbers = processed.data<float>().ToArray();
        var size = (int)processed.shape[1];
        for (var i = 0; i < places.Length; i++)
            Choose(places[i].Wanted, places[i].Row, numbers.AsSpan(i * size, size), 1, isExact: false);
    }
}
