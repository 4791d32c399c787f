using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Campaigns;
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
public sealed class PrepareDataset(
    RunRequests requests, SourceFiles sources, CampaignPreferences campaigns, ModelFolders models, ArtifactStore artifacts, Limits limits)
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
                var data = request.Data;
                var text = LlamaText.FromFolder(folder);
                var prompts = Prompts(data, folder, text);
                var dataset = new PreparedDataset(
                    data.Train is { } train ? await PrepareAsync(data, sources.PartOf(train, "train"), data.TrainRows, prompts, stop) : [],
                    await PrepareAsync(data, sources.PartOf(data.Test, "test"), data.TestRows, prompts, stop))
                {
                    Preferences = Encode(await PreferencesAsync(request, folder, stop), text),
                };
                CheckSize(dataset, request);
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
        foreach (var (source, rows) in new[] { (request.Data.Train ?? "", dataset.Train), (request.Data.Test, dataset.Test) })
        {
            if (rows.FirstOrDefault(row => row.PromptIds.Length + newTokens > context) is not { } tooLong) continue;
            throw new InvalidInputException($"{source}: row {tooLong.Id} makes a prompt of {tooLong.PromptIds.Length} tokens; with generation.maxNewTokens = {newTokens} "
                + $"that is more than the {context} tokens of the model's context. Lower data.maxCharacters or generation.maxNewTokens.");
        }
    }

    private static DialoguePrompts Prompts(DataSettings data, string folder, LlamaText text)
    {
        try
        {
            return new DialoguePrompts(data, text, data.Chat ? ChatTemplate.FromFolder(folder) : null);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e); // the same model would have no better files the next time
        }
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

    /// <summary>What is learned from, of a campaign what was voted before the run was asked for: made again, it is the same.</summary>
    private async Task<IReadOnlyList<PreferenceRow>> PreferencesAsync(RunRequest request, string folder, CancellationToken cancellation)
    {
        var data = request.Data;
        if (data.PreferencesCampaign is { } campaign)
        {
            // The storage's clock counts whole seconds.
            var asked = (await requests.FindCreationTimeAsync(request.RunId!, cancellation))!.Value.AddSeconds(1);
            var (preferences, _) = await campaigns.ReadAsync(campaign, asked, cancellation);
            return [.. Preference.Decided(preferences).Take(data.TrainRows)];
        }

        if (data.Preferences is not { } source) return [];
        try
        {
            await using var stream = await sources.OpenAsync(source, cancellation);
            return PreferenceReader.Read(stream, source, data.TrainRows, ChatTemplate.FromFolder(folder));
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e);
        }
    }

    private static IReadOnlyList<PreparedPreference> Encode(IReadOnlyList<PreferenceRow> rows, LlamaText text)
    {
        return [.. rows.Select(row => new PreparedPreference(row.Id, Side(row, row.Chosen), Side(row, row.Rejected)))];

        PreparedResponse Side(PreferenceRow row, string response)
        {
            // A chat template writes the begin token and the end of a turn itself.
            int[] alone = text.Encode(row.Prompt, addBos: !row.IsChat), together = text.Encode(row.Prompt + response, addBos: !row.IsChat);
            int shared = alone.AsSpan().CommonPrefixLength(together); // where both meet, tokens may join
            int[] end = row.IsChat ? [] : [text.EosId];
            return new PreparedResponse(together[..shared], [.. together[shared..], .. end]);
        }
    }

    private async Task<IReadOnlyList<PreparedDialogue>> PrepareAsync(
        DataSettings data, string source, int firstRows, DialoguePrompts prompts, CancellationToken cancellation)
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

            return [.. rows.Select(row => new PreparedDialogue(row.Id, row.Dialogue, row.Summary, prompts.Encode(row.Dialogue)))];
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e); // the same file would be as broken the next time
        }
    }
}
