using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Sources;

/// <summary>A reward that a service of the user's gives, on a real server.</summary>
public sealed class HttpRewardTests : IAsyncLifetime
{
    private readonly WebApplication _server = WebApplication.CreateSlimBuilder().Build();
    private Func<int, JsonElement, IResult> _answer = (_, _) => Results.StatusCode(500);
    private int _calls;

    private Uri Address => new(_server.Urls.Single());

    [Fact]
    public void Responses_go_out_some_at_a_time_and_come_back_as_scores()
    {
        var sizes = new List<int>();
        _answer = (_, body) =>
        {
            var items = body.GetProperty("items").EnumerateArray().ToArray();
            sizes.Add(items.Length);
            return Scores(items.Select(item => item.GetProperty("response").GetString()!.Length + (0.5 * item.GetProperty("reference").GetString()!.Length)));
        };
        var scores = Open(new() { Url = $"{Address}score", BatchSize = 2 }).Score(Texts("a", "bb", "ccc"), CancellationToken.None);
        Assert.Equal([1.5f, 2.5f, 3.5f], scores.Select(score => score.Score));
        Assert.Equal([2, 1], sizes);
    }

    [Fact]
    public void A_service_that_fails_for_the_moment_is_asked_again()
    {
        _answer = (call, _) => call == 1 ? Results.StatusCode(503) : Scores([7]);
        Assert.Equal(7, Open(new() { Url = $"{Address}" }).Score(Texts("a"), CancellationToken.None).Single().Score);
        Assert.Equal(2, _calls);
    }

    [Fact]
    public void A_service_that_does_not_answer_in_time_is_given_up()
    {
        _answer = (_, _) =>
        {
            Thread.Sleep(1000);
            return Scores([1]);
        };
        var reward = Open(new() { Url = $"{Address}", TimeoutSeconds = 0.1, Retries = 0 });
        Assert.Contains("within 0.1 seconds", Assert.Throws<HttpRequestException>(() => reward.Score(Texts("a"), CancellationToken.None)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Answers_that_are_no_scores_are_refused_at_once()
    {
        IResult[] answers =
        [
            Scores([1, 2]), Results.Text("{\"scores\": [1e999]}"), Results.Text("hello"), Results.Text("{}"), Results.StatusCode(404),
            Results.Redirect("http://localhost/elsewhere"),
        ];
        foreach (var answer in answers)
        {
            _answer = (_, _) => answer;
            Assert.Throws<InvalidInputException>(() => Open(new() { Url = $"{Address}" }).Score(Texts("a"), CancellationToken.None));
        }

        Assert.Equal(answers.Length, _calls);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/", "127.0.0.1:2")]
    [InlineData("http://good.example.evil.com/", "good.example")]
    [InlineData("http://good.example@evil.com/", "good.example")]
    [InlineData("http://169.254.169.254/metadata", "")]
    public void Only_hosts_that_the_app_allows_are_called(string url, string allowed)
    {
        using var services = Services(allowed);
        Assert.Contains("RlhfRewardHosts", services.ProblemWith(url), StringComparison.Ordinal);
        Assert.Throws<InvalidInputException>(() => services.Open(new() { Url = url }));
        using var open = Services("good.example, good.example:8443");
        Assert.Null(open.ProblemWith("https://good.example/score"));
        Assert.Null(open.ProblemWith("https://good.example:8443/score"));
    }

    public async ValueTask InitializeAsync()
    {
        _server.Urls.Add("http://127.0.0.1:0");
        _server.MapPost("{**path}", (JsonElement body) => _answer(++_calls, body));
        await _server.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
    }

    private static IResult Scores(IEnumerable<double> scores)
    {
        return Results.Json(new { scores });
    }

    private static PromptedResponse[] Texts(params string[] texts)
    {
        return Array.ConvertAll(texts, text => new PromptedResponse("", text, text, "r"));
    }

    private static RewardServices Services(string hosts)
    {
        return new RewardServices(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["RlhfRewardHosts"] = hosts }).Build());
    }

    private ITextReward Open(HttpTerm term)
    {
        return Services(Address.Authority).Open(term);
    }
}
