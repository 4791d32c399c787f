namespace RlhfFunctions.Contracts;

/// <summary>GET /api/runs: a run in a few words.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Status">As in <see cref="RunView.Status"/>.</param>
/// <param name="CreatedAt">When it was asked for.</param>
/// <param name="Progress">What it does, or did last.</param>
public sealed record RunListItem(string RunId, string Status, DateTimeOffset CreatedAt, RunProgress? Progress)
{
    /// <summary>As in its request.</summary>
    public string? Name { get; init; }

    /// <summary>As in its request.</summary>
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>Which runs are asked for.</summary>
/// <param name="Limit">How many at most.</param>
public sealed record RunListQuery(int Limit)
{
    /// <summary>Only those older than this run.</summary>
    public string? After { get; init; }

    /// <summary>Only those of this status.</summary>
    public string? Status { get; init; }

    /// <summary>Only those that have this tag.</summary>
    public string? Tag { get; init; }
}

/// <summary>GET /api/runs/{id}/checkpoints: a state of the run that is kept.</summary>
/// <param name="Step">The PPO step before which it is: 0 is the beginning.</param>
/// <param name="CreatedAt">When it was written.</param>
public sealed record RunCheckpoint(int Step, DateTimeOffset CreatedAt);

/// <summary>GET /api/runs/{id}/events: something that happened to a run.</summary>
/// <param name="At">When.</param>
/// <param name="Kind">What.</param>
/// <param name="Reason">Why, where somebody said or something went wrong.</param>
public sealed record RunEvent(DateTimeOffset At, RunEventKind Kind, string? Reason);

/// <summary>What can happen to a run.</summary>
public enum RunEventKind
{
    Created,
    Suspended,
    Resumed,
    Cancelled,

    /// <summary>It had ended without a result, and goes on from a checkpoint.</summary>
    Restarted,

    /// <summary>An artefact was lost or damaged, and is made again.</summary>
    WentBack,
    Failed,
    Finished,

    /// <summary>Whoever its request names was told of its end.</summary>
    Notified,

    /// <summary>They were not, in spite of all attempts.</summary>
    NotNotified,
}

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
/// <param name="LabelBefore">Mean probability of the run's judged label before; null: there was no judge.</param>
/// <param name="LabelAfter">The same after.</param>
/// <param name="Published">Whether adapters/latest moved to it when the run ended.</param>
public sealed record AdapterListItem(string RunId, string Path, double? LabelBefore, double? LabelAfter, bool Published);

/// <summary>GET /api/models: a model in Blob storage.</summary>
/// <param name="Name">What it is called there.</param>
/// <param name="Source">What a run names it by; null while it is not complete.</param>
/// <param name="Files">Those that are there whole.</param>
public sealed record ModelListItem(string Name, string? Source, IReadOnlyList<ModelListFile> Files)
{
    /// <summary>Why it cannot be used, and what to do; null: it can.</summary>
    public string? Problem { get; init; }
}

/// <summary>A file of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">Lower-case hexadecimal.</param>
public sealed record ModelListFile(string Name, long Bytes, string Sha256);
