using System.Globalization;
using RlhfFunctions.Contracts;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Hub;

/// <summary>Whatever a network does: the bytes are the hub's, or an error says what is wrong.</summary>
public sealed class HubStreamTests : IAsyncLifetime
{
    private const string Large = "model.safetensors";
    private const string Small = "vocab.json";
    private const string Token = "hf_secretsecretsecret";

    private static readonly byte[] Content = RandomBytes(300_000);
    private static readonly HubSource Source = new("tiny/llama");

    private static readonly Dictionary<string, HubServer.Fault[]> Scripts = new()
    {
        ["nothing"] = [],
        ["a cut"] = [HubServer.Cut(1000)],
        ["cuts, with a byte gained each"] = [.. Enumerable.Repeat(HubServer.Cut(1), 20)],
        ["cuts before the first byte"] = [HubServer.Cut(0), HubServer.Cut(0)],
        ["a cut at the last byte"] = [HubServer.Cut(Content.Length - 1)],
        ["a stall"] = [HubServer.Stall(1000)],
        ["a stall before the first byte"] = [HubServer.Stall(0)],
        ["a server's fault"] = [HubServer.Status(500), HubServer.Status(503)],
        ["too many requests"] = [HubServer.Status(429, ("Retry-After", "1"))],
        ["a server that knows no ranges"] = [HubServer.Cut(1000), HubServer.Whole()],
        ["a length that is too short"] = [HubServer.Instead(content => content[..5000])],
        ["a length that is too long"] = [HubServer.Instead(content => [.. content, .. content])],
        ["a permission that ran out on the way"] = [HubServer.Cut(1000), HubServer.Status(403)],
        ["everything"] = [HubServer.Status(502), HubServer.Cut(70_000), HubServer.Whole(), HubServer.Cut(10)],
    };

    private HubServer _server = null!;

    public static TheoryData<string> Faults => [.. Scripts.Keys];

    public async ValueTask InitializeAsync()
    {
        _server = await HubServer.StartAsync();
        _server.Add("tiny/llama", new Dictionary<string, byte[]> { [Large] = Content, [Small] = Content, ["empty.txt"] = [] });
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Passing_faults_are_waited_out_and_the_bytes_are_right(string fault)
    {
        using var hub = Connect(stallSeconds: fault.Contains("stall", StringComparison.Ordinal) ? 1 : 60);
        _server.Script(Large, Scripts[fault]);
        Assert.Equal(Content, await ReadAsync(hub, Large));
    }

    [Theory]
    [InlineData(Small)]
    [InlineData("empty.txt")]
    public async Task Files_in_git_are_fetched_too(string file)
    {
        using var hub = Connect();
        Assert.Equal(file == Small ? Content : [], await ReadAsync(hub, file));
    }

    [Fact]
    public async Task After_a_cut_only_the_rest_is_asked_for()
    {
        using var hub = Connect();
        _server.Script(Large, HubServer.Cut(1000), HubServer.Cut(500));
        Assert.Equal(Content, await ReadAsync(hub, Large));
        var starts = _server.Requests.Where(request => request.Path.StartsWith("/cdn", StringComparison.Ordinal))
            .Select(request => request.Range is null ? 0 : int.Parse(request.Range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture));
        Assert.Equal([0, 1000, 1500], starts);
    }

    [Theory]
    [InlineData(Large, "SHA-256")]
    [InlineData(Small, "SHA-1")]
    public async Task Damaged_bytes_are_refused_at_the_end(string file, string names)
    {
        using var hub = Connect();
        _server.Script(file, HubServer.Instead(content => [.. content[..^1], (byte)(content[^1] ^ 1)]));
        var error = await Assert.ThrowsAsync<HubFaultException>(() => ReadAsync(hub, file));
        Assert.Contains(names, error.Message, StringComparison.Ordinal);
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_lies_about_the_length_every_time_is_given_up_with_both_lengths()
    {
        using var hub = Connect();
        _server.Script(Large, [.. Enumerable.Repeat(HubServer.Instead(content => content[..5000]), 20)]);
        var error = await Assert.ThrowsAsync<HubFaultException>(() => ReadAsync(hub, Large));
        Assert.Contains("5000", error.Message, StringComparison.Ordinal);
        Assert.Contains("300000", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_never_recovers_is_given_up_after_the_retries()
    {
        using var hub = Connect();
        _server.Script(Small, [.. Enumerable.Repeat(HubServer.Status(500), 20)]);
        var error = await Assert.ThrowsAsync<HubFaultException>(() => ReadAsync(hub, Small));
        Assert.Contains("500", error.Message, StringComparison.Ordinal);
        Assert.Equal(1 + hub.Settings.Retries, _server.FilesAskedFor.Count());
    }

    [Theory]
    [InlineData("/main", 401, null, null, "set HF_TOKEN")]
    [InlineData("/main", 401, "GatedRepo", null, "Accept its conditions")]
    [InlineData("/main", 403, null, Token, "read access")]
    [InlineData("/main", 404, "RevisionNotFound", null, "no revision \"main\"")]
    [InlineData("/main", 404, null, null, "Check name and revision")]
    [InlineData("/main", 400, null, null, "HF_ENDPOINT")]
    public async Task A_refusal_says_what_to_do_and_is_not_repeated(string pathEnd, int status, string? code, string? token, string advises)
    {
        using var hub = Connect(token);
        _server.Script(pathEnd, [.. Enumerable.Repeat(HubServer.Status(status, ("X-Error-Code", code ?? "")), 3)]);
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => new HubClient(hub).ResolveAsync(Source, CancellationToken.None));
        Assert.Contains(advises, error.Message, StringComparison.Ordinal);
        Assert.Contains("hf:tiny/llama", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Token, error.ToString(), StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task How_long_a_server_asks_to_be_left_alone_is_heard()
    {
        using var hub = Connect();
        _server.Script(Small, HubServer.Status(429, ("Retry-After", "17")));
        var address = new Uri(_server.Address, $"tiny/llama/resolve/{HubServer.Commit}/{Small}");
        var error = await Assert.ThrowsAsync<HubFaultException>(() => hub.GetAsync(address, Source, 0, null, CancellationToken.None));
        Assert.Equal(TimeSpan.FromSeconds(17), error.RetryAfter);
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_along_its_redirects_and_nowhere_else()
    {
        using var hub = Connect(Token);
        _server.Script($"/resolve/{HubServer.Commit}/{Small}", HubServer.Status(307, ("Location", $"/tiny/llama/resolve/{HubServer.Commit}/{Small}?moved")));
        Assert.Equal(Content, await ReadAsync(hub, Small));
        Assert.Equal(Content, await ReadAsync(hub, Large));
        var (elsewhere, here) = (_server.Requests.Where(IsElsewhere).ToList(), _server.Requests.Where(request => !IsElsewhere(request)).ToList());
        Assert.Single(elsewhere);
        Assert.Equal(5, here.Count); // two lists, the small file and where it moved, the large one
        Assert.All(elsewhere, request => Assert.Null(request.Authorization));
        Assert.All(here, request => Assert.Equal($"Bearer {Token}", request.Authorization));

        static bool IsElsewhere(HubRequest request) => request.Path.StartsWith("/cdn", StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_is_no_list_of_files_points_to_the_endpoint()
    {
        using var hub = Connect();
        _server.Script("/main", [.. Enumerable.Repeat<HubServer.Fault>(HubServer.Instead(_ => "<html>Welcome!</html>"u8.ToArray()), 20)]);
        var error = await Assert.ThrowsAsync<HubFaultException>(() => new HubClient(hub).ResolveAsync(Source, CancellationToken.None));
        Assert.Contains("HF_ENDPOINT", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_more_bytes_than_are_taken_is_refused()
    {
        using var hub = Connect();
        var client = new HubClient(hub);
        var repository = await client.ResolveAsync(Source, CancellationToken.None);
        await using var content = client.Open(repository, repository.Files.Single(one => one.Name == Large), mostBytes: Content.Length - 1);
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => content.CopyToAsync(Stream.Null));
        Assert.Contains("RlhfLimits__ModelFileBytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_do_not_show_the_token()
    {
        Assert.DoesNotContain(Token, new HubSettings(_server.Address, Token).ToString(), StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
    }

    private HubConnection Connect(string? token = null, int stallSeconds = 60)
    {
        return new HubConnection(new HubSettings(_server.Address, token)
        {
            StallTimeout = TimeSpan.FromSeconds(stallSeconds),
            Retries = 3,
            FirstBackOff = TimeSpan.FromMilliseconds(1),
            LongestRetryAfter = TimeSpan.FromMilliseconds(1),
        });
    }

    private static async Task<byte[]> ReadAsync(HubConnection hub, string file)
    {
        var client = new HubClient(hub);
        var repository = await client.ResolveAsync(Source, CancellationToken.None);
        await using var content = client.Open(repository, repository.Files.Single(one => one.Name == file), mostBytes: 1 << 24);
        using var bytes = new MemoryStream();
        await content.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(7).NextBytes(bytes);
        return bytes;
    }
}
