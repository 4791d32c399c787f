namespace RlhfFunctions.Contracts;

/// <summary>GET /api/runs: a run in a few words.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Status">As in <see cref="RunView.Status"/>.</param>
/// <param name="CreatedAt">When it was asked for.</param>
/// <param name="Progress">What it does, or did last.</param>
public sealed record RunListItem(string RunId, string Status, DateTimeOffset CreatedAt, RunProgress? Progress);

/// <summary>GET /api/adapters.</summary>
/// <param name="Latest">The run that adapters/latest points to; null: no run has published yet.</param>
/// <param name="Adapters">Of every finished run.</param>
public sealed record AdapterList(string? Latest, IReadOnlyList<AdapterListItem> Adapters)
{
    /// <summary>What else should stand here and cannot be read, each blob named; null: nothing.</summary>
    public IReadOnlyList<string>? Damaged { get; init; }
}

/// <summary>The adapter of a finished run.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Path">The PEFT folder in Blob storage.</param>
/// <param name="HateBefore">Mean hate probability before, by the judge.</param>
/// <param name="HateAfter">The same after.</param>
/// <param name="Published">Whether adapters/latest moved to it when the run ended.</param>
public sealed record AdapterListItem(string RunId, string Path, double HateBefore, double HateAfter, bool Published);
