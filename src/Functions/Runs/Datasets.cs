using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>A dialogue ready for the policy.</summary>
/// <param name="Id">The row's name in its file.</param>
/// <param name="Dialogue">The conversation.</param>
/// <param name="Summary">The reference summary.</param>
/// <param name="PromptIds">Token ids of the filled prompt template, begin-of-text first.</param>
public sealed record PreparedDialogue(string Id, string Dialogue, string Summary, int[] PromptIds);

/// <summary>A preference ready for the policy.</summary>
/// <param name="Id">The row's name in its file.</param>
/// <param name="Chosen">The better response behind the prompt.</param>
/// <param name="Rejected">The worse one.</param>
public sealed record PreparedPreference(string Id, PreparedResponse Chosen, PreparedResponse Rejected);

/// <summary>Token ids of a prompt and of a response to it, begin-of-text first and end-of-text last.</summary>
public sealed record PreparedResponse(int[] PromptIds, int[] ResponseIds);

/// <summary>A run's dialogues: those it learns on and those it is measured on.</summary>
public sealed record PreparedDataset(IReadOnlyList<PreparedDialogue> Train, IReadOnlyList<PreparedDialogue> Test)
{
    /// <summary>What is learned from where no dialogues are.</summary>
    public IReadOnlyList<PreparedPreference> Preferences { get; init; } = [];

    /// <summary>The one file of the dataset artefact.</summary>
    public const string FileName = "dataset.json";

    public byte[] ToBytes()
    {
        return JsonSerializer.SerializeToUtf8Bytes(this, ContractsJson.Options);
    }
}

/// <summary>Reads prepared datasets; the last one stays in memory, since every step of a run asks for the same.</summary>
public sealed class Datasets(ArtifactStore artifacts)
{
    private volatile Cached? _last;

    public async Task<PreparedDataset> GetAsync(string path, CancellationToken cancellation)
    {
        // By what lies there now: a run that was deleted may come again under its id, with other data.
        var file = await artifacts.GetFileAsync(path, PreparedDataset.FileName, cancellation);
        if (_last is { } last && last.File == file) return last.Dataset;
        var dataset = JsonSerializer.Deserialize<PreparedDataset>(await artifacts.ReadAsync(file, cancellation), ContractsJson.Options)!;
        _last = new Cached(file, dataset);
        return dataset;
    }

    private sealed record Cached(ArtifactFile File, PreparedDataset Dataset);
}
