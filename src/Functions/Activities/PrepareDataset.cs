using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Runs;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Rows → selection → length filter → prompts → token ids.</summary>
public sealed class PrepareDataset(RunRequests requests, SourceFiles sources, ModelFolders models, ArtifactStore artifacts, Limits limits)
{
    /// <summary>ROUGE-L compares every word of a reference with every word of a response.</summary>
    private const int MostSummaryCharacters = 20_000;

    /// <returns>The dataset's path.</returns>
    [Function(FunctionNames.PrepareDataset)]
    public async Task<string> Run([ActivityTrigger] PrepareDatasetInput input, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(input.RunId, cancellation);
        string path = BlobPaths.Dataset(input.RunId);
        return await artifacts.MakeOnceAsync(
            path,
            async stop =>
            {
                string folder = await models.FetchAsync(input.BaseModel, stop);
                var tokenizer = LlamaText.FromFolder(folder);
                var data = request.Data;
                var dataset = new PreparedDataset(
                    await PrepareAsync(data, sources.PartOf(data.Train, "train"), data.TrainRows, tokenizer, stop),
                    await PrepareAsync(data, sources.PartOf(data.Test, "test"), data.TestRows, tokenizer, stop));
                if (dataset.Train.Count < request.Ppo.BatchSize)
                {
                    throw new InvalidInputException($"{data.Train} leaves {dataset.Train.Count} dialogues after the selection, fewer than a batch of "
                        + $"{request.Ppo.BatchSize}. Raise data.trainRows, widen data.minCharacters and data.maxCharacters, or lower ppo.batchSize.");
                }

                CheckContext(dataset, request, LlamaConfig.Load(folder).ContextLength);
                if (dataset.Test.FirstOrDefault(dialogue => dialogue.Summary.Length > MostSummaryCharacters) is { } endless)
                {
                    throw new InvalidInputException($"{data.Test}: the {data.Columns.Summary} of row {endless.Id} has {endless.Summary.Length} characters, more than the "
                        + $"{MostSummaryCharacters} that ROUGE-L is computed for. Shorten it, or leave the row out.");
                }

                if (dataset.Test.FirstOrDefault(dialogue => string.IsNullOrWhiteSpace(dialogue.Summary)) is { } bare)
                {
                    throw new InvalidInputException($"{data.Test}: the row {bare.Id} has no {data.Columns.Summary}, and without reference summaries ROUGE-L "
                        + "cannot be computed. Fill it in, or name the file's own column in data.columns.summary.");
                }

                return new NewArtifact<string>(new Dictionary<string, byte[]> { [PreparedDataset.FileName] = dataset.ToBytes() }, path);
            },
            cancellation);
    }

    private static void CheckContext(PreparedDataset dataset, RunRequest request, int context)
    {
        int newTokens = request.Generation.MaxNewTokens;
        foreach (var (source, rows) in new[] { (request.Data.Train, dataset.Train), (request.Data.Test, dataset.Test) })
        {
            if (rows.FirstOrDefault(row => row.PromptIds.Length + newTokens > context) is not { } tooLong) continue;
            throw new InvalidInputException($"{source}: row {tooLong.Id} makes a prompt of {tooLong.PromptIds.Length} tokens; with generation.maxNewTokens = {newTokens} "
                + $"that is more than the {context} tokens of the model's context. Lower data.maxCharacters or generation.maxNewTokens.");
        }
    }

    private async Task<IReadOnlyList<PreparedDialogue>> PrepareAsync(
        DataSettings data, string source, int firstRows, LlamaText tokenizer, CancellationToken cancellation)
    {
        try
        {
            await using var stream = await sources.OpenAsync(source, cancellation);
            var rows = DialogueSelection.Select(DialogueReader.Read(stream, source, data.Columns, limits.DataRows), firstRows, data.MinCharacters, data.MaxCharacters);
            if (rows.Count == 0)
            {
                throw new InvalidInputException($"{source} has no dialogue of more than {data.MinCharacters} and at most {data.MaxCharacters} characters "
                    + $"in its first {firstRows} rows. Widen data.minCharacters and data.maxCharacters, or take more rows.");
            }

            var template = new PromptTemplate(data.PromptTemplate);
            return [.. rows.Select(row => new PreparedDialogue(row.Id, row.Dialogue, row.Summary, tokenizer.Encode(template.Fill(row.Dialogue))))];
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e); // the same file would be as broken the next time
        }
    }
}
