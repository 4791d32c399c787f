using System.Diagnostics;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>The stages of an activity's work as spans, for whoever listens to <see cref="SourceName"/>; costs nothing where nobody does.</summary>
public static class Stage
{
    public const string SourceName = "RlhfFunctions";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a stage; disposing what is returned, which is null where nobody listens, ends it.</summary>
    public static Activity? Begin(string name) => Source.StartActivity(name);
}
