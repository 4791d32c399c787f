using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Hosting;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.LocalHost.Worker;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>The running app: Azurite (unless a storage account is configured), the host, and the address it serves.</summary>
internal sealed class HostSession : IAsyncDisposable
{
    private const int Attempts = 5;
    private static readonly TimeSpan UntilSaved = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    private readonly HostOptions _options;
    private readonly AppFolder _app;
    private readonly Dictionary<string, string> _settings;
    private readonly Action<string> _say;
    private readonly bool _usesAzurite;
    private readonly CancellationTokenSource _stop = new();
    private Azurite? _azurite;
    private int _begun;
    private FunctionsHost? _host;
    private Task _watch = Task.CompletedTask;

    private HostSession(HostOptions options, AppFolder app, Dictionary<string, string> settings, Action<string> say)
    {
        _options = options;
        _app = app;
        _settings = settings;
        _say = say;
        _usesAzurite = Azurite.IsAskedFor(new ConfigurationBuilder().AddInMemoryCollection(settings!).AddEnvironmentVariables().Build());
        Address = new Uri($"http://localhost:{options.Port}/");
    }

    public Uri Address { get; }

    private string Journal => Path.Combine(_options.DataFolder, "unfinished.json");

    /// <exception cref="UserErrorException">A port is taken, Node is missing, the app is not built or does not start, or the like.</exception>
    public static async Task<HostSession> StartAsync(HostOptions options, Action<string> say, CancellationToken cancellation)
    {
        RefuseTakenPort(options.Port);
        var app = AppFolder.Open(options.AppFolder);
        var settings = HostSettings.ReadLocalSettings(app.Path);
        settings["FUNCTIONS_WORKER_RUNTIME"] = "dotnet-isolated";
        AddUnlessSet(settings, "RlhfFileRoot", Repository.Root);
        // Who starts the host from the folder of his own data means it to be read; a whole disk nobody means.
        string here = Environment.CurrentDirectory;
        if (here != Path.GetPathRoot(here)) AddUnlessSet(settings, "RlhfFileRoots", here);
        AddUnlessSet(settings, "RlhfCache", options.ModelsFolder);
        AddUnlessSet(settings, "RlhfNightlySchedule", "0 0 3 * * *");
        var session = new HostSession(options, app, settings, say);
        try
        {
            await session.BeginPatientlyAsync(isFirst: true, cancellation);
            session._watch = session.WatchAsync();
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <summary>The product's services on the same storage, for what needs no function.</summary>
    public ServiceProvider OpenServices()
    {
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables().AddInMemoryCollection(_settings!).Build();
        return new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
    }

    /// <summary>Waits until the host cannot go on; why is in the exception.</summary>
    /// <exception cref="UserErrorException">Azurite ended and cannot be started again, or the app cannot.</exception>
    public Task WaitAsync(CancellationToken cancellation)
    {
        return _watch.WaitAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watch.ContinueWith(_ => { }, TaskScheduler.Default);
        if (_host is not null) await _host.DisposeAsync();
        if (_azurite is not null) await _azurite.DisposeAsync();
        if (_begun > 0) File.Delete(Journal); // Azurite has saved
        _stop.Dispose();
    }

    /// <summary>Begins, and begins again where something dies meanwhile.</summary>
    /// <exception cref="UserErrorException">It cannot be done. The first time what a user has to put right is said at once.</exception>
    private async Task BeginPatientlyAsync(bool isFirst, CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await BeginAsync(cancellation);
                return;
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested && !(isFirst && e is UserErrorException))
            {
                if (attempt == Attempts) throw e as UserErrorException ?? new UserErrorException($"The app cannot be started: {e.Message}", e);
                _say(e is UserErrorException ? $"{e.Message} It is tried again." : "Azurite or the app ended while they were being started. It is tried again.");
                await Task.Delay(attempt * FirstPause, cancellation);
            }
        }
    }

    private async Task BeginAsync(CancellationToken cancellation)
    {
        if (_usesAzurite)
        {
            _azurite = await Azurite.StartAsync(Repository.Root, _options.DataFolder, _options.AzuritePort, _say, cancellation);
            _settings["AzureWebJobsStorage"] = _azurite.ConnectionString;
        }

        if (_host is { } before)
        {
            _host = null;
            await before.DisposeAsync();
        }

        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var start = StartAppAsync(gone.Token);
        if (_azurite is not null)
        {
            await Task.WhenAny(start, _azurite.WaitForEndAsync(gone.Token)); // nobody else looks after it meanwhile
            if (!start.IsCompleted) await gone.CancelAsync();
        }

        await start;
        await gone.CancelAsync();
    }

    private async Task StartAppAsync(CancellationToken cancellation)
    {
        if (_azurite is { WasLeft: true })
        {
            var (hub, partitions) = HostSettings.ReadTaskHub(_app.Path);
            await TaskHub.BeginAnewAsync(_azurite.ConnectionString, hub, partitions, Journal, cancellation);
            _ = ForgetAsync(++_begun);
        }

        _host = await FunctionsHost.StartAsync(_app, _options.Port, _settings, _options.IsVerbose, cancellation);
    }

    /// <summary>Deletes the journal when Azurite, which saves every five seconds, has long saved what stands in it.</summary>
    private async Task ForgetAsync(int begun)
    {
        await Task.Delay(UntilSaved, _stop.Token);
        if (begun == _begun) File.Delete(Journal);
    }

    private async Task WatchAsync()
    {
        while (_azurite is not null)
        {
            await _azurite.WaitForEndAsync(_stop.Token);
            _say("Azurite was stopped from outside. It is started again, and with it what was under way.");
            await BeginPatientlyAsync(isFirst: false, _stop.Token);
        }

        await Task.Delay(Timeout.Infinite, _stop.Token);
    }

    private static void AddUnlessSet(Dictionary<string, string> settings, string name, string value)
    {
        if (Environment.GetEnvironmentVariable(name) is null) settings.TryAdd(name, value);
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
