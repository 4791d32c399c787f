using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Triggers;

namespace RlhfFunctions.Functions.Tests.Triggers;

/// <summary>A night has its date from its trigger, and its time from a setting that every host knows.</summary>
public sealed class NightlyTimerTests
{
    private static readonly DateTimeOffset AfterMidnight = new(2026, 2, 1, 0, 0, 5, TimeSpan.Zero);

    [Theory]
    [InlineData("""{"ScheduleStatus":{"Last":"2026-01-30T23:59:00Z","Next":"2026-01-31T23:59:00Z","LastUpdated":"2026-01-30T23:59:00Z"},"IsPastDue":true}""", "2026-01-31")]
    [InlineData("""{"ScheduleStatus":{"Last":"0001-01-01T00:00:00","Next":"2026-01-31T23:59:00+00:00","LastUpdated":"0001-01-01T00:00:00"},"IsPastDue":false}""", "2026-01-31")]
    [InlineData("""{"ScheduleStatus":{"Last":"0001-01-01T00:00:00","Next":"0001-01-01T00:00:00","LastUpdated":"0001-01-01T00:00:00"},"IsPastDue":false}""", "2026-02-01")]
    [InlineData("""{"IsPastDue":false}""", "2026-02-01")]
    public void The_date_is_that_of_the_occurrence_however_late_it_is_delivered(string timer, string date)
    {
        Assert.Equal(date, NightlyTimer.DateOf(JsonSerializer.Deserialize<TimerInfo>(timer)!, AfterMidnight));
    }

    [Fact]
    public void Func_and_Azure_are_given_the_schedule()
    {
        using var settings = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Repository.Root, "local.settings.sample.json")));
        Assert.Equal("0 0 3 * * *", settings.RootElement.GetProperty("Values").GetProperty("RlhfNightlySchedule").GetString());
        string template = File.ReadAllText(Path.Combine(Repository.Root, "infra", "bicep", "main.bicep"));
        Assert.Contains("param nightlySchedule string = '0 0 3 * * *'", template, StringComparison.Ordinal);
        Assert.Contains("{ name: 'RlhfNightlySchedule', value: nightlySchedule }", template, StringComparison.Ordinal);
    }
}
