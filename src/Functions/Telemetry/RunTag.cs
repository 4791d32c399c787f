using System.Diagnostics;
using OpenTelemetry;

namespace RlhfFunctions.Telemetry;

/// <summary>Spans inherit the run's id from the span they are part of.</summary>
internal sealed class RunTag : BaseProcessor<Activity>
{
    public const string Name = "rlhf.run_id";

    public override void OnStart(Activity data)
    {
        if (data.Parent?.GetTagItem(Name) is { } run) data.SetTag(Name, run);
    }
}
