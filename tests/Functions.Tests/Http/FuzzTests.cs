using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using RlhfFunctions.Functions.Tests.EndToEnd;

namespace RlhfFunctions.Functions.Tests.Http;

/// <summary>Whatever is sent, the app answers in time and in its own words, and never fails.</summary>
[Collection(nameof(FreshAppTests))]
public sealed partial class FuzzTests(RunningApp running)
{
    private const int AtOnce = 8;
    private static readonly TimeSpan Latest = TimeSpan.FromSeconds(10);

    [Fact]
    public Task A_thousand_requests_that_are_almost_right_are_answered()
    {
        return SendAsync(seed: 11, count: 1000);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public Task Ten_thousand_requests_that_are_almost_right_are_answered()
    {
        return SendAsync(Random.Shared.Next(), count: 10_000);
    }

    private async Task SendAsync(int seed, int count)
    {
        var mutator = new RequestMutator(seed);
        var requests = Enumerable.Range(0, count).Select(i => (Number: i, Request: mutator.Next()));
        var wrong = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (sent, cancellation) =>
        {
            using var request = sent.Request;
            string what = $"{sent.Number} of seed {seed}, {request.Method} {request.RequestUri}, {request.Content?.Headers.ContentType}";
            string content = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellation);
            long startedAt = Stopwatch.GetTimestamp();
            using var answer = await running.App.Http.SendAsync(request, cancellation);
            string body = await answer.Content.ReadAsStringAsync(cancellation);
            if (ProblemWith(answer, body, Stopwatch.GetElapsedTime(startedAt)) is { } problem) wrong.Enqueue($"{problem}: {(int)answer.StatusCode} {body}\n  for {what}: {content}");
        });
        Assert.True(wrong.IsEmpty, $"{wrong.Count} of {count} answers are wrong, among them\n{string.Join('\n', wrong.Take(12).Select(line => line.Length < 700 ? line : line[..700]))}");
    }

    private static string? ProblemWith(HttpResponseMessage answer, string body, TimeSpan time)
    {
        if (time > Latest) return $"Took {time}";
        if ((int)answer.StatusCode >= 500) return "Failed";
        if (InnerWords().Match(body) is { Success: true } inner) return $"Says \"{inner.Value}\"";
        if (body.Contains(Repository.Root, StringComparison.Ordinal)) return "Names the disk";
        if ((int)answer.StatusCode < 400 || answer.RequestMessage!.Method == HttpMethod.Head) return null;
        if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json") return "No problem+json";
        using var problem = JsonDocument.Parse(body);
        return new[] { "type", "title", "detail" }.FirstOrDefault(field => string.IsNullOrWhiteSpace(problem.RootElement.GetProperty(field).GetString())) is { } missing ? $"No {missing}" : null;
    }

    /// <summary>What only the inside of the app says: stack traces, names of types.</summary>
    [GeneratedRegex(@"   at \w|Exception|System\.|RlhfFunctions\.|Newtonsoft|nullability|JsonElement|Azure\.Storage", RegexOptions.CultureInvariant)]
    private static partial Regex InnerWords();
}
