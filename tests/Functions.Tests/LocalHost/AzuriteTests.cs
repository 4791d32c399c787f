using System.Net;
using System.Net.Sockets;
using Azure.Storage.Blobs;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.LocalHost;

public sealed class AzuriteTests(AzuriteFixture shared) : IDisposable
{
    private readonly string _dataFolder = Directory.CreateTempSubdirectory("rlhf-azurite-").FullName;

    public void Dispose() => Directory.Delete(_dataFolder, recursive: true);

    [Fact]
    public async Task A_restarted_host_adopts_the_Azurite_it_left_behind_and_stops_it_in_the_end()
    {
        var port = AzuriteFixture.FreePorts();
        var leftBehind = await StartAsync(port);
        Assert.True(leftBehind.IsOwned);
        await new BlobServiceClient(leftBehind.ConnectionString).CreateBlobContainerAsync("kept");

        var adopted = await StartAsync(port);
        Assert.True(adopted.IsOwned);
        await adopted.DisposeAsync();
        using var http = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(new Uri($"http://127.0.0.1:{port}/")));

        await using var again = await StartAsync(port);
        Assert.True(await new BlobServiceClient(again.ConnectionString).GetBlobContainerClient("kept").ExistsAsync());
    }

    [Fact]
    public async Task Somebody_elses_Azurite_is_used_and_left_running()
    {
        var foreign = await StartAsync(shared.Port);
        Assert.False(foreign.IsOwned);
        await foreign.DisposeAsync();
        Assert.True((await shared.Blobs.GetPropertiesAsync()).HasValue);
    }

    [Fact]
    public async Task A_port_that_something_else_holds_is_refused_with_advice()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var answering = Task.Run(async () =>
        {
            using var caller = await other.AcceptTcpClientAsync();
            await caller.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
        });
        var refusal = await Assert.ThrowsAsync<UserErrorException>(() => StartAsync(((IPEndPoint)other.LocalEndpoint).Port));
        await answering;
        Assert.Contains("is taken by something that is not Azurite's Blob service (nginx)", refusal.Message, StringComparison.Ordinal);
    }

    private Task<Azurite> StartAsync(int port) =>
        Azurite.StartAsync(Repository.Root, _dataFolder, port, _ => { }, CancellationToken.None);
}
