using System.Net;
using System.Net.Sockets;
using Azure.Storage.Blobs;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>The running app: Azurite (unless a storage account is configured), the functions, and the address they are served at.</summary>
internal sealed class HostSession : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Azurite _azurite;

    private HostSession(WebApplication app, Azurite azurite, HostOptions options)
    {
        _app = app;
        _azurite = azurite;
        Address = new Uri($"http://localhost:{options.Port}/");
    }

    public Uri Address { get; }

    /// <summary>The address of the blob service, with a slash at its end.</summary>
    public Uri BlobAddress => new(Services.GetRequiredService<BlobServiceClient>().Uri.AbsoluteUri.TrimEnd('/') + "/");

    public IServiceProvider Services => _app.Services;

    /// <exception cref="UserErrorException">A port is taken, Node is missing, or the like.</exception>
    public static async Task<HostSession> StartAsync(HostOptions options, Action<string> say, CancellationToken cancellation)
    {
        RefuseTakenPort(options.Port);
        var azurite = await Azurite.StartAsync(Repository.Root, options.DataFolder, options.AzuritePort, say, cancellation);
        try
        {
            var app = Build(options, azurite);
            await app.StartAsync(cancellation);
            return new HostSession(app, azurite, options);
        }
        catch
        {
            await azurite.DisposeAsync();
            throw;
        }
    }

    public Task WaitForShutdownAsync(CancellationToken cancellation)
    {
        return _app.WaitForShutdownAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        await _azurite.DisposeAsync();
    }

    private static WebApplication Build(HostOptions options, Azurite azurite)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AzureWebJobsStorage"] = azurite.ConnectionString,
            ["RlhfFileRoot"] = Repository.Root,
            ["RlhfCache"] = options.ModelsFolder,
        });
        builder.WebHost.UseUrls($"http://localhost:{options.Port}");
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddRlhf(builder.Configuration);
        builder.Services.AddSingleton<RunOutput>();
        builder.Services.AddLocalFunctions(typeof(HostSession).Assembly, new LocalFunctionsOptions { Json = ContractsJson.Options });
        var app = builder.Build();
        app.MapLocalFunctions();
        return app;
    }

    private static void RefuseTakenPort(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
        }
        catch (SocketException)
        {
            throw new UserErrorException(
                $"Port {port} of this machine is taken by another program, so the functions cannot be served at http://localhost:{port}. "
                + "Stop that program (another local host, perhaps), or choose another port with --port.");
        }
    }
}
