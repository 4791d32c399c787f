using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Ppo;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Summarises an uploaded file of dialogues with the adapter that serves.</summary>
public sealed class WriteSummaries(RunRequests requests, SourceFiles sources, BlobFiles blobs, Checkpoints checkpoints, PolicyPool policies)
{
    /// <returns>The path of the summaries.</returns>
    /// <exception cref="InvalidInputException">No adapter serves yet, or the file is broken.</exception>
    [Function(FunctionNames.WriteSummaries)]
    public async Task<string> Run([ActivityTrigger] SummarizeDialoguesInput input, CancellationToken cancellation)
    {
        var latest = await blobs.ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, cancellation) ?? throw new InvalidInputException(
            $"No adapter serves yet, so {BlobPaths.Dialogues}/{input.Blob} cannot be summarised. Finish a run that publishes one, then upload the file again.");
        var request = await requests.GetAsync(latest.RunId, cancellation);
        var checkpoint = await checkpoints.ReadAsync(latest.RunId, latest.Step, cancellation);
        var rows = await ReadAsync(input.Blob, request.Data.Columns, cancellation);
        var template = new PromptTemplate(request.Data.PromptTemplate);

        var summaries = await policies.UseAsync(
            latest.Prepared.Base,
            request,
            request.Compute.RolloutThreads,
            loaded =>
            {
                TrainingState.RestoreParameters(loaded.Policy, checkpoint);
                return rows.Chunk(request.Evaluation.BatchSize).SelectMany(batch =>
                {
                    int[][] prompts = [.. batch.Select(row => loaded.Text.Encode(template.Fill(row.Dialogue)))];
                    ulong[] keys = [.. batch.Select((_, i) => Seeds.Derive((ulong)request.Seed, "summary", i))];
                    return BatchGenerator.Sample(loaded.Policy.Model, prompts, keys, loaded.WithEndOfText(request.Generation), cancellation)
                        .Zip(batch, (response, row) => new DialogueSummary(row.Id, loaded.Text.Decode(response)));
                }).ToArray();
            },
            cancellation);

        string path = BlobPaths.Summary(input.Blob);
        var answer = new DialogueSummaries(input.Blob, latest.RunId, summaries);
        await blobs.ReplaceAsync(path, BinaryData.FromBytes(JsonSerializer.SerializeToUtf8Bytes(answer, ContractsJson.Indented)), cancellation);
        return path;
    }

    private async Task<IReadOnlyList<DialogueRow>> ReadAsync(string blob, DialogueColumns columns, CancellationToken cancellation)
    {
        try
        {
            string path = $"{BlobPaths.Dialogues}/{blob}";
            await using var stream = await sources.OpenAsync(Source.Blob + path, cancellation);
            return DialogueReader.Read(stream, path, columns);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e);
        }
    }
}
