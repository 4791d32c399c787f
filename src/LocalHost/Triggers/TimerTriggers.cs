using Azure;
using Azure.Storage.Blobs;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NCrontab;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>
/// Fires timer functions at their six-field schedules, in UTC. When each is next due is kept in a blob, so that an
/// occurrence missed while no host ran is made up for once, marked as past due.
/// </summary>
internal sealed class TimerTriggers(
    FunctionCatalog functions,
    BlobServiceClient blobs,
    LocalFunctionsOptions options,
    IConfiguration configuration,
    TimeProvider clock,
    ILogger<TimerTriggers> log) : BackgroundService
{
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var (function, trigger) in functions.With<TimerTriggerAttribute>())
            ScheduleOf(function, trigger); // a schedule that cannot be read stops the start, not the timer
        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        from found in functions.With<TimerTriggerAttribute>()
        select RunAsync(found.Function, found.Trigger, stoppingToken));

    private async Task RunAsync(LocalFunction function, TimerTriggerAttribute trigger, CancellationToken stopping)
    {
        var schedule = ScheduleOf(function, trigger);
        var monitor = blobs.GetBlobContainerClient(options.TaskHub).GetBlobClient($"timers/{function.Name}.json");
        var status = trigger.UseMonitor ? await ReadAsync(monitor, stopping) : null;
        var isPastDue = status is not null && status.Next < Now;
        if (isPastDue || trigger.RunOnStartup)
            await FireAsync(isPastDue);
        while (true)
        {
            status = new() { Last = status?.Last ?? default, Next = schedule.GetNextOccurrence(Now), LastUpdated = Now };
            if (trigger.UseMonitor)
                await WriteAsync(monitor, status, stopping);
            await clock.DelayUntilAsync(new(status.Next, TimeSpan.Zero), stopping);
            await FireAsync(isPastDue: false);
        }

        async Task FireAsync(bool isPastDue)
        {
            var due = status?.Next ?? Now;
            var timer = new TimerInfo { IsPastDue = isPastDue, ScheduleStatus = trigger.UseMonitor ? status : null };
            try
            {
                await functions.InvokeAsync(function, timer, new Dictionary<string, object?>(), stopping);
            }
            catch (Exception problem) when (!stopping.IsCancellationRequested)
            {
                log.LogError(problem, "Timer function {Function} failed; it fires again at its next time.", function.Name);
            }
            status = new() { Last = due };
        }
    }

    private DateTime Now => clock.GetUtcNow().UtcDateTime;

    private CrontabSchedule ScheduleOf(LocalFunction function, TimerTriggerAttribute trigger)
    {
        var expression = trigger.Schedule;
        if (expression is ['%', .. var setting, '%'])
            expression = configuration[setting] ?? throw new UserErrorException(
                $"Timer function '{function.Name}' takes its schedule from the setting '{setting}', which is not set.");
        return CrontabSchedule.TryParse(expression, new() { IncludingSeconds = true }) ?? throw new UserErrorException(
            $"Timer function '{function.Name}': '{expression}' is not a schedule of six fields "
            + "(second minute hour day month day-of-week).");
    }

    /// <summary>A timer that cannot note its next time still fires; it only cannot be made up for.</summary>
    private async Task WriteAsync(BlobClient monitor, ScheduleStatus status, CancellationToken cancellation)
    {
        try
        {
            await monitor.UploadAsync(BinaryData.FromObjectAsJson(status), overwrite: true, cancellation);
        }
        catch (Exception problem) when (!cancellation.IsCancellationRequested)
        {
            log.LogError(problem, "Could not write blob '{Container}/{Blob}'.", options.TaskHub, monitor.Name);
        }
    }

    private async Task<ScheduleStatus?> ReadAsync(BlobClient monitor, CancellationToken cancellation)
    {
        try
        {
            return (await monitor.DownloadContentAsync(cancellation)).Value.Content.ToObjectFromJson<ScheduleStatus>();
        }
        catch (RequestFailedException missing) when (missing.Status == 404)
        {
            return null;
        }
        catch (System.Text.Json.JsonException corrupt)
        {
            log.LogError(corrupt, "Blob '{Container}/{Blob}' cannot be read; the timer starts anew.", options.TaskHub, monitor.Name);
            return null;
        }
    }
}
