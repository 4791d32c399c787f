using System.Net;
using System.Net.Sockets;
using Azure.Storage.Blobs;
using RlhfFunctions.Functions.Tests;
using RlhfFunctions.LocalHost.Hosting;

[assembly: AssemblyFixture(typeof(AzuriteFixture))]

namespace RlhfFunctions.Functions.Tests;

/// <summary>
/// One Azurite for all tests, on a free port and with an empty data folder. A test class takes it as a constructor
/// parameter; tests keep out of each other's way by container names of their own.
/// </summary>
public sealed class AzuriteFixture : IAsyncLifetime
{
    private readonly string _dataFolder = Directory.CreateTempSubdirectory("rlhf-azurite-").FullName;
    private static int _lastPort = Random.Shared.Next(20_000, 30_000);
    private Azurite _azurite = null!;

    public BlobServiceClient Blobs { get; private set; } = null!;

    public string ConnectionString => _azurite.ConnectionString;

    /// <summary>The port that Azurite listens on.</summary>
    public int Port => _azurite.Port;

    /// <summary>A client with options of the test's own, to watch or disturb what goes over the wire.</summary>
    public BlobServiceClient Connect(BlobClientOptions options) => new(_azurite.ConnectionString, options);

    public static string NewContainerName() => $"test-{Guid.NewGuid():N}";

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The first of three free ports in a row: blobs, queues, tables. Nobody is given any of them twice.</summary>
    public static int FreePorts()
    {
        for (int first = Interlocked.Add(ref _lastPort, 3); ; first = Interlocked.Add(ref _lastPort, 3))
        {
            var listeners = Enumerable.Range(first, 3).Select(port => new TcpListener(IPAddress.Loopback, port)).ToArray();
            try
            {
                foreach (var listener in listeners) listener.Start();
                return first;
            }
            catch (SocketException)
            {
                // One of them is taken: the next three.
            }
            finally
            {
                foreach (var listener in listeners) listener.Dispose();
            }
        }
    }

    public async ValueTask InitializeAsync()
    {
        _azurite = await Azurite.StartAsync(Repository.Root, _dataFolder, FreePorts(), Console.WriteLine, CancellationToken.None);
        Blobs = Connect(new());
    }

    public async ValueTask DisposeAsync()
    {
        await _azurite.DisposeAsync();
        Directory.Delete(_dataFolder, recursive: true);
    }
}
