namespace RlhfFunctions.Reports;

/// <summary>
/// The addresses that pages link to. A browser gets in with a function key in the address (<c>?code=…</c>), as everywhere in Azure
/// Functions; every link carries it on.
/// </summary>
/// <param name="Code">The key that the page itself was asked for with, or null.</param>
internal sealed record PageLinks(string? Code)
{
    public string Runs => With("/api/pages/runs");

    /// <summary>The address of the comparison; the form that leads there sends runs and key as its fields.</summary>
    public static string Comparison => "/api/pages/compare";

    public string Run(string runId)
    {
        return With($"/api/runs/{runId}/report");
    }

    /// <summary>A published file.</summary>
    public string File(string runId, string name)
    {
        return With($"/api/runs/{runId}/files/{name}");
    }

    /// <summary>What a run's policy was made of, and what was made of it.</summary>
    public string History(string runId)
    {
        return With($"/api/pages/history?run={runId}");
    }

    /// <summary>What a campaign's votes are worth.</summary>
    public string Votes(string campaignId)
    {
        return With($"/api/campaigns/{campaignId}/statistics?format=html");
    }

    public string Reward(string rewardId)
    {
        return With($"/api/rewards/{rewardId}/report");
    }

    private string With(string address)
    {
        return Code is null ? address : $"{address}{(address.Contains('?', StringComparison.Ordinal) ? '&' : '?')}code={Uri.EscapeDataString(Code)}";
    }
}
