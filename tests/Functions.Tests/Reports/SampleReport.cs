using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>A report of a run that never was, with whatever a model may write.</summary>
internal static class SampleReport
{
    public const string Hostile = "<script>alert('x')</script> </p> & \"quoted\" <img src=x onerror=alert(1)>";

    private static readonly string LongWord = new('w', 300);

    public static EvaluationReport Report { get; } = new()
    {
        RunId = "sample",
        Seed = 3,
        Steps = 40,
        Label = "hate",
        Before = Side(0.562, 0.54, 19.2),
        After = Side(0.072, 0.558, 18.3),
        Kl = new KlSummary(1.4, 2.1, Metric(1.41, 0.2), 0.549),
        SecondsByStage = new SecondsByStage(1, 20, 30, 4, 0.5),
        Samples =
        [
            new("#Person1#: Hello!\n#Person2#: Bye.", "They part.", Hostile, "They part.", 0.98, 0.02),
            new("#Person1#: A.", "", "", "   ", 0.1, 0.1),
            new($"#Person1#: {LongWord}", LongWord, LongWord, LongWord, 0.7, 0.6),
            new("#Person1#: C.", "Ça va…", "Zoë – “quotes”", "日本語", 0.5, 0.4),
        ],
    };

    public static byte[] Page(EvaluationReport? report = null, int steps = 40)
    {
        return ReportPage.Render(report ?? Report, Metrics(steps), TinyRun.Request("sample"), published: true);
    }

    /// <summary>Curves that differ from run to run.</summary>
    public static JsonObject[] Metrics(int steps, int run = 1)
    {
        string[] names =
        [
            MetricNames.RewardMean, MetricNames.LabelProbability, MetricNames.Kl, MetricNames.ResponseLengthMean, MetricNames.PolicyLoss, MetricNames.ValueLoss,
        ];
        return [.. Enumerable.Range(0, steps).Select(step => new JsonObject(
            names.Select((name, i) => KeyValuePair.Create(name, (JsonNode?)JsonValue.Create(Math.Sin(step * 0.3 / run) * Math.Pow(10, i - 3)))).Prepend(new("step", step))))];
    }

    private static PolicyMeasurement Side(double hate, double rouge, double tokens)
    {
        return new PolicyMeasurement
        {
            LabelProbability = Metric(hate, 0.03),
            RougeL = Metric(rouge, 0.03),
            ResponseTokens = Metric(tokens, 0.6),
            DistinctResponses = 1,
            DistinctBigrams = 0.63,
            EndedByEos = 0.96,
        };
    }

    private static MetricSummary Metric(double mean, double margin)
    {
        return new MetricSummary(mean, 3 * margin, mean - margin, mean + margin, 4);
    }
}
