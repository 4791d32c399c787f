using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Azure.WebJobs;
using Microsoft.Azure.WebJobs.Extensions.DurableTask;
using Microsoft.Azure.WebJobs.Host;
using Microsoft.Azure.WebJobs.Host.Config;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NCrontab;
using RlhfFunctions.LocalHost.Worker;
using Yarp.ReverseProxy.Forwarder;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>
/// Hosts a built function app as the Functions host does: the worker as a child process, and the WebJobs SDK in this one with the
/// real Durable extension and the real blob trigger. HTTP is forwarded to the worker; what the core tools would add is added here.
/// </summary>
internal sealed class FunctionsHost : IAsyncDisposable
{
    private const string ManagementPath = "/runtime/webhooks/durabletask";

    // An HTTP trigger may take as long as its client waits; Azure's load balancer cuts at 230 s.
    private static readonly ForwarderRequestConfig Forwarding = new() { ActivityTimeout = TimeSpan.FromMinutes(10) };
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(15);

    private readonly FunctionsWorker _worker;
    private readonly ILoggerFactory _logs;
    private readonly WebApplication _web;
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false });

    private FunctionsHost(FunctionsWorker worker, AppFolder app, int port, IReadOnlyDictionary<string, string> settings, ILoggerFactory logs, bool isVerbose)
    {
        _worker = worker;
        _logs = logs;
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = app.Path });
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = HostSettings.ReadHostJson(app.Path) });
        builder.Configuration.AddInMemoryCollection(settings!);
        builder.Configuration["CONTAINER_NAME"] = null; // the extension would believe itself in a Linux Consumption plan
        builder.Logging.AddHostLog(isVerbose);
        builder.WebHost.UseUrls($"http://localhost:{port}");
        builder.WebHost.ConfigureKestrel(server => server.Limits.MaxRequestBodySize = null); // the app has limits of its own
        builder.Services.AddHostTelemetry(builder.Configuration);
        builder.Services.AddHttpForwarder();
        builder.Services.AddSingleton<ITypeLocator>(new FunctionTypes(FunctionMethods.Define(worker.Functions.Values)));
        builder.Services.AddSingleton(provider => new WorkerCaller(worker, (http, address) => ForwardAsync(provider.GetRequiredService<IHttpForwarder>(), http, address)));
        builder.Services.AddSingleton<INameResolver, DefaultNameResolver>();
#pragma warning disable CS0618 // obsolete in favour of the Functions host's own, which is not public
        builder.Services.AddSingleton<IWebHookProvider>(new WebHooks(new Uri($"http://localhost:{port}{ManagementPath}")));
#pragma warning restore CS0618
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopTimeout);
        builder.Host.ConfigureWebJobs(web =>
        {
            web.AddAzureStorageCoreServices();
            web.AddAzureStorageBlobs();
            web.AddDurableTask();
        });
        _web = builder.Build();
        _web.Use(LocalOnly.Guard);
        string prefix = _web.Configuration.HostJson("extensions:http:routePrefix") ?? "api";
        foreach (var function in worker.Functions.Values)
        {
            if (function.Find("httpTrigger") is { } trigger) MapHttp(function.Name, trigger, prefix);
        }

        _web.Map(ManagementPath + "/{**rest}", ManageAsync);
        _web.MapFallback("{**rest}", http => Problem.WriteAsync(http, 404, "no-such-address", "There is nothing at this address.", $"The functions are below /{prefix}."));
    }

    /// <summary>Starts worker and host; when this returns, HTTP is served.</summary>
    /// <param name="app">The built app.</param>
    /// <param name="port">Where HTTP is served, on the loopback only.</param>
    /// <param name="settings">The app's settings: configuration of this host, environment variables of the worker.</param>
    /// <param name="isVerbose">Log what is ordinary too.</param>
    /// <param name="cancellation">Gives up the start.</param>
    /// <exception cref="UserErrorException">The worker does not start.</exception>
    public static async Task<FunctionsHost> StartAsync(
        AppFolder app, int port, IReadOnlyDictionary<string, string> settings, bool isVerbose, CancellationToken cancellation)
    {
        var logs = LoggerFactory.Create(builder => builder.AddHostLog(isVerbose));
        var worker = await FunctionsWorker.StartAsync(app, settings, logs, cancellation);
        FunctionsHost? host = null;
        try
        {
            host = new FunctionsHost(worker, app, port, settings, logs, isVerbose);
            await host._web.StartAsync(cancellation);
            host.StartTimers();
            return host;
        }
        catch
        {
            if (host is not null) await host.DisposeAsync();
            else await worker.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _worker.LetEnd();
        try
        {
            // Services that wait for a storage which is no longer there do not look at the time they are given.
            await _web.StopAsync().WaitAsync(2 * StopTimeout);
            await _web.DisposeAsync().AsTask().WaitAsync(StopTimeout);
        }
        catch (TimeoutException)
        {
            // What still waits has nothing to save: the engine's state is in the storage, or lost with it.
        }

        _http.Dispose(); // the worker ends when its last connection is closed
        await _worker.DisposeAsync();
        _logs.Dispose();
    }

    private void MapHttp(string function, JsonElement trigger, string prefix)
    {
        string route = trigger.TryGetProperty("route", out var given) ? given.GetString()! : function;
        string[] methods = trigger.TryGetProperty("methods", out var listed) ? [.. listed.EnumerateArray().Select(method => method.GetString()!.ToUpperInvariant())] : [];
        string parameter = trigger.GetProperty("name").GetString()!;
        var endpoint = _web.Map($"/{prefix}/{route}", async (HttpContext http, IJobHost jobs) =>
        {
            try
            {
                await jobs.CallAsync(function, new Dictionary<string, object> { [parameter] = http });
            }
            catch (FunctionInvocationException e) when (!http.Response.HasStarted)
            {
                http.Response.Clear();
                if (e.InnerException is not WorkerProcessExitException)
                {
                    await Problem.WriteAsync(http, 500, "function-failed", "The function failed.", "The host's log says why.");
                    return;
                }

                http.Response.Headers.RetryAfter = "5";
                await Problem.WriteAsync(http, 503, "worker-restarts", "The app is starting again.", "Its process ended while it was working on this. Ask again in a few seconds.");
            }
            catch (FunctionInvocationException)
            {
                // The worker has answered; why the function failed stands in the log.
            }
        });
        if (methods.Length > 0) endpoint.WithMetadata(new HttpMethodMetadata(methods));
    }

    private async Task ForwardAsync(IHttpForwarder forwarder, HttpContext http, Uri worker)
    {
        if (await forwarder.SendAsync(http, worker.ToString(), _http, Forwarding) is not ForwarderError.None and var error && !http.RequestAborted.IsCancellationRequested)
            _web.Logger.LogWarning("{Method} {Path} was not answered by the worker: {Error}.", http.Request.Method, http.Request.Path, error);
    }

    /// <summary>Durable's own HTTP API, as the extension serves it.</summary>
    private static async Task ManageAsync(HttpContext http, IEnumerable<IExtensionConfigProvider> extensions)
    {
        var durable = (IAsyncConverter<HttpRequestMessage, HttpResponseMessage>)extensions.OfType<DurableTaskExtension>().Single();
        string address = $"{http.Request.Scheme}://{http.Request.Host}{http.Request.Path}{http.Request.QueryString}";
        using var request = new HttpRequestMessage(new HttpMethod(http.Request.Method), address) { Content = new StreamContent(http.Request.Body) };
        if (http.Request.ContentType is { } type) request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        using var answer = await durable.ConvertAsync(request, http.RequestAborted);
        http.Response.StatusCode = (int)answer.StatusCode;
        foreach (var (name, values) in answer.Headers.Concat(answer.Content.Headers)) http.Response.Headers[name] = values.ToArray();
        await answer.Content.CopyToAsync(http.Response.Body, http.RequestAborted);
    }

    private void StartTimers()
    {
        var stopping = _web.Lifetime.ApplicationStopping;
        foreach (var function in _worker.Functions.Values)
        {
            if (function.Find("timerTrigger") is not { } trigger) continue;
            string schedule = trigger.GetProperty("schedule").GetString()!;
            if (schedule is ['%', .. var setting, '%'])
                schedule = _web.Configuration[setting] ?? throw new UserErrorException($"The schedule of {function.Name} is the setting {setting}, which is not set.");
            _ = RunOnScheduleAsync(function.Name, trigger.GetProperty("name").GetString()!, CrontabSchedule.Parse(schedule, new() { IncludingSeconds = true }), stopping);
        }
    }

    private async Task RunOnScheduleAsync(string function, string parameter, CrontabSchedule schedule, CancellationToken stopping)
    {
        var last = DateTime.UtcNow;
        while (!stopping.IsCancellationRequested)
        {
            var next = schedule.GetNextOccurrence(last);
            // One delay holds 49 days at most, and does not notice that the clock was set or the machine slept.
            while (!stopping.IsCancellationRequested && next - DateTime.UtcNow is { Ticks: > 0 } wait)
                await Task.Delay(wait < TimeSpan.FromMinutes(1) ? wait + TimeSpan.FromMilliseconds(1) : TimeSpan.FromMinutes(1), stopping).ContinueWith(_ => { }, TaskScheduler.Default);
            if (stopping.IsCancellationRequested) return;
            var state = new TimerState(IsPastDue: false, new TimerStatus(last, next, last)); // Next is the one it runs for, as with the Functions host
            last = next;
            try
            {
                await _web.Services.GetRequiredService<IJobHost>().CallAsync(function, new Dictionary<string, object> { [parameter] = state }, stopping);
            }
            catch (FunctionInvocationException)
            {
                // It stands in the log; the next time is tried all the same.
            }
        }
    }

    private sealed class FunctionTypes(Type type) : ITypeLocator
    {
        public IReadOnlyList<Type> GetTypes()
        {
            return [type];
        }
    }

#pragma warning disable CS0618
    private sealed class WebHooks(Uri address) : IWebHookProvider
    {
        public Uri GetUrl(IExtensionConfigProvider extension)
        {
            return address;
        }
    }
#pragma warning restore CS0618
}
