using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Loading;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Rows → selection → length filter → prompts → token ids.</summary>
public sealed class PrepareDataset(RunRequests requests, SourceFiles sources, ModelFolders models, ArtifactStore artifacts)
{
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
                var tokenizer = LlamaText.FromFolder(await models.FetchAsync(input.BaseModel, stop));
                var data = request.Data;
                var dataset = new PreparedDataset(
                    data.Train is { } train ? await PrepareAsync(data, sources.PartOf(train, "train"), data.TrainRows, tokenizer, stop) : [],
                    await PrepareAsync(data, sources.PartOf(data.Test, "test"), data.TestRows, tokenizer, stop))
                {
                    Preferences = data.Preferences is { } file ? await PreferencesAsync(file, data.TrainRows, tokenizer, stop) : [],
                };
                CheckSize(dataset, request);
                if (dataset.Test.FirstOrDefault(dialogue => string.IsNullOrWhiteSpace(dialogue.Summary)) is { } bare)
                {
                    throw new InvalidInputException($"{data.Test}: the row {bare.Id} has no {data.Columns.Summary}, and without reference summaries ROUGE-L "
                        + "cannot be computed. Fill it in, or name the file's own column in data.columns.summary.");
                }

                return new NewArtifact<string>(new Dictionary<string, byte[]> { [PreparedDataset.FileName] = dataset.ToBytes() }, path);
            },
            cancellation);
    }

    private static void CheckSize(PreparedDataset dataset, RunRequest request)
    {
        var (data, training) = (request.Data, request.Training);
        int prompts = training.BatchSize / training.SamplesPerPrompt;
        if (data.Preferences is not null && dataset.Preferences.Count < prompts)
        {
            throw new InvalidInputException($"{data.Preferences} has {dataset.Preferences.Count} preferences in its first {data.TrainRows} rows, fewer than a "
                + $"batch of {prompts}. Raise data.trainRows, or lower {training.Section}.batchSize.");
        }

        if (data.Train is not null && dataset.Train.Count < prompts)
        {
            throw new InvalidInputException($"{data.Train} leaves {dataset.Train.Count} dialogues after the selection, fewer than a batch of "
                + $"{prompts}. Raise data.trainRows, widen data.minCharacters and data.maxCharacters, or lower {training.Section}.batchSize.");
        }
    }

    private async Task<IReadOnlyList<PreparedPreference>> PreferencesAsync(
        string source, int firstRows, LlamaText tokenizer, CancellationToken cancellation)
    {
        try
        {
            await using var stream = await sources.OpenAsync(source, cancellation);
            return [.. PreferenceReader.Read(stream, source, firstRows).Select(
                row => new PreparedPreference(row.Id, Side(row.Prompt, row.Chosen), Side(row.Prompt, row.Rejected)))];
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e);
        }

        PreparedResponse Side(string prompt, string response)
        {
            int[] alone = tokenizer.Encode(prompt), together = tokenizer.Encode(prompt + response);
            int shared = alone.AsSpan().CommonPrefixLength(together); // where both meet, tokens may join
            return new PreparedResponse(together[..shared], [.. together[shared..], tokenizer.EosId]);
        }
    }

    private async Task<IReadOnlyList<PreparedDialogue>> PrepareAsync(
        DataSettings data, string source, int firstRows, LlamaText tokenizer, CancellationToken cancellation)
    {
        try
        {
            await using var stream = await sources.OpenAsync(source, cancellation);
            var rows = DialogueSelection.Select(DialogueReader.Read(stream, source, data.Columns), firstRows, data.MinCharacters, data.MaxCharacters);
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
