using Azure;
using Azure.Storage.Blobs.Models;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>
/// Summarises an uploaded file of dialogues with the adapter that serves. What cannot be summarised is named in an error file beside
/// the summaries of the rest. A version of the file that another has replaced writes nothing, however late it is.
/// </summary>
public sealed class WriteSummaries(
    RunRequests requests, PublishedAdapters adapters, BlobFiles blobs, Checkpoints checkpoints, PolicyPool policies, Limits limits)
{
    /// <returns>The path of the summaries, or of the error file where there are none; null: another version of the file is there.</returns>
    [Function(FunctionNames.WriteSummaries)]
    public async Task<string?> Run([ActivityTrigger] SummarizeDialoguesInput input, CancellationToken cancellation)
    {
        if (await FindWrittenAsync(input, cancellation) is { } written) return written;
        var (answer, errors) = await SummarizeAsync(input, cancellation);
        string errorPath = BlobPaths.SummaryErrors(input.Blob);
        bool isCurrent = await WriteAsync(input, errorPath, errors, errors => errors.Version, cancellation);
        // Last: it says that this version is done. A file of another kind has no summaries of its own to replace.
        if (isCurrent && DialogueReader.CanRead(input.Blob))
            isCurrent = await WriteAsync(input, BlobPaths.Summary(input.Blob), answer, answer => answer.Version, cancellation);
        if (!isCurrent) return null;
        return answer is null ? errorPath : BlobPaths.Summary(input.Blob);
    }

    /// <summary>What an earlier delivery of the same version has written.</summary>
    private async Task<string?> FindWrittenAsync(SummarizeDialoguesInput input, CancellationToken cancellation)
    {
        try
        {
            var answer = await blobs.ReadJsonAsync<DialogueSummaries>(BlobPaths.Summary(input.Blob), cancellation);
            if (answer?.Version == input.ETag) return BlobPaths.Summary(input.Blob);
            var errors = await blobs.ReadJsonAsync<DialogueErrors>(BlobPaths.SummaryErrors(input.Blob), cancellation);
            return errors?.Version == input.ETag && errors.Summarized == 0 ? BlobPaths.SummaryErrors(input.Blob) : null;
        }
        catch (CorruptArtifactException)
        {
            return null; // it is written anew
        }
    }

    private async Task<(DialogueSummaries? Answer, DialogueErrors? Errors)> SummarizeAsync(SummarizeDialoguesInput input, CancellationToken cancellation)
    {
        var errors = new List<DialogueError>();
        if (await adapters.FindLatestAsync(cancellation) is not { } latest)
        {
            errors.Add(new(null, "No adapter serves yet, so nothing can be summarised. Finish a run that publishes one, then upload the file again."));
            return (null, new DialogueErrors(input.Blob, input.ETag, 0, errors));
        }

        var request = await requests.GetAsync(latest.RunId, cancellation);
        var rows = await ReadAsync(input, request.Data.Columns, errors, cancellation);
        var summaries = rows.Count == 0 ? [] : await SummarizeAsync(latest, request, rows, errors, cancellation);
        errors.Sort((one, other) => Nullable.Compare(one.Row, other.Row));
        return (
            summaries.Length == 0 ? null : new DialogueSummaries(input.Blob, latest.RunId, summaries) { Version = input.ETag },
            errors.Count == 0 ? null : new DialogueErrors(input.Blob, input.ETag, summaries.Length, errors));
    }

    private async Task<DialogueSummary[]> SummarizeAsync(
        LatestAdapter latest, RunRequest request, IReadOnlyList<NumberedDialogue> rows, List<DialogueError> errors, CancellationToken cancellation)
    {
        var checkpoint = await checkpoints.ReadAsync(latest.RunId, latest.Step, cancellation);
        return await policies.UseAsync(
            latest.Prepared.Base,
            request,
            request.Compute.RolloutThreads,
            loaded =>
            {
                TrainingState.RestoreParameters(loaded.Policy, checkpoint);
                int longest = loaded.Policy.Model.Config.ContextLength - request.Generation.MaxNewTokens;
                var fitting = new List<(NumberedDialogue Row, int[] Prompt)>();
                var dialogues = loaded.Prompts(request.Data);
                foreach (var row in rows)
                {
                    int[] prompt = dialogues.Encode(row.Dialogue.Dialogue);
                    if (prompt.Length <= longest) fitting.Add((row, prompt));
                    else errors.Add(new(row.Row, $"{row.Dialogue.Id} makes a prompt of {prompt.Length} tokens, more than the {longest} for which the model has room. Shorten it."));
                }

                return fitting.Chunk(request.Evaluation.BatchSize).SelectMany(batch =>
                {
                    int[][] prompts = [.. batch.Select(text => text.Prompt)];
                    ulong[] keys = [.. batch.Select(text => Seeds.Derive((ulong)request.Seed, "summary", text.Row.Row))];
                    return BatchGenerator.Sample(loaded.Policy.Model, prompts, keys, loaded.WithEndOfText(request.Generation), cancellation)
                        .Zip(batch, (response, text) => new DialogueSummary(text.Row.Dialogue.Id, loaded.Text.Decode(response)));
                }).ToArray();
            },
            cancellation);
    }

    /// <summary>The rows of this version that can be read. Of one that is no longer there, none: nothing is written then.</summary>
    private async Task<IReadOnlyList<NumberedDialogue>> ReadAsync(
        SummarizeDialoguesInput input, DialogueColumns columns, List<DialogueError> errors, CancellationToken cancellation)
    {
        try
        {
            var blob = await blobs.BlobAsync(PathOf(input));
            var version = new BlobOpenReadOptions(allowModifications: false) { Conditions = new() { IfMatch = new ETag(input.ETag) } };
            await using var stream = await blob.OpenReadAsync(version, cancellation);
            if (stream.Length > limits.DataBytes)
                throw new InvalidDataException($"{input.Blob} has {stream.Length:N0} bytes, more than the {limits.DataBytes:N0} that are read. Upload it in parts.");
            var (good, broken) = DialogueReader.ReadGood(stream, input.Blob, columns, limits.DataRows);
            errors.AddRange(broken.Select(row => new DialogueError(row.Row, row.Problem)));
            return good;
        }
        catch (InvalidDataException e)
        {
            errors.Add(new(null, e.Message));
            return [];
        }
        catch (RequestFailedException e) when (e.Status is 404 or 412)
        {
            return [];
        }
    }

    /// <summary>Writes a blob, or deletes it where there is nothing to write, if this version of the file is the current one.</summary>
    /// <returns>False: it is not.</returns>
    private async Task<bool> WriteAsync<T>(
        SummarizeDialoguesInput input, string path, T? content, Func<T, string> versionOf, CancellationToken cancellation)
        where T : class
    {
        bool isCurrent = false;
        await blobs.ChangeJsonAsync<T>(
            path,
            async there =>
            {
                // Asked after the blob was read: had a newer version been summarised since, the blob would no longer be the same.
                isCurrent = await blobs.FindVersionAsync(PathOf(input), cancellation) == input.ETag;
                bool isWritten = there is not null && content is not null && versionOf(there) == input.ETag;
                return isCurrent && !isWritten ? content : there;
            },
            cancellation);
        return isCurrent;
    }

    private static string PathOf(SummarizeDialoguesInput input)
    {
        return $"{BlobPaths.Dialogues}/{input.Blob}";
    }
}
