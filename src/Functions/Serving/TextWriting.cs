using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Ppo;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Serving;

/// <summary>Writes texts with a policy. One request at a time: each that runs beside another would load a model of its own.</summary>
public sealed class TextWriting(Checkpoints checkpoints, PolicyPool policies) : IDisposable
{
    private readonly SemaphoreSlim _oneAtATime = new(1);

    /// <exception cref="InvalidInputException">A prompt and its text do not fit into the model's context.</exception>
    public async Task<IReadOnlyList<GeneratedText>> WriteAsync(ServedPolicy served, GenerateRequest request, CancellationToken cancellation)
    {
        var run = served.Request;
        var checkpoint = served.Step is { } step ? await checkpoints.ReadAsync(run.RunId!, step, cancellation) : null;
        var template = new PromptTemplate(run.Data.PromptTemplate);
        string[] prompts = [.. request.Prompts ?? request.Dialogues!.Select(template.Fill)];
        bool isGreedy = request.Temperature == 0;
        var settings = run.Generation with
        {
            MaxNewTokens = request.MaxNewTokens ?? run.Generation.MaxNewTokens,
            Temperature = isGreedy ? 1 : request.Temperature ?? run.Generation.Temperature,
        };

        await _oneAtATime.WaitAsync(cancellation);
        try
        {
            return await policies.UseAsync(served.BaseModel, run, run.Compute.RolloutThreads, Write, cancellation);
        }
        finally
        {
            _oneAtATime.Release();
        }

        GeneratedText[] Write(LoadedPolicy loaded)
        {
            if (checkpoint is not null) TrainingState.RestoreParameters(loaded.Policy, checkpoint);
            using var alone = checkpoint is null ? loaded.Policy.WithAdapterDisabled() : null;
            var model = loaded.Policy.Model;
            var sampling = loaded.WithEndOfText(settings);
            int[][] ids = [.. prompts.Select(prompt => loaded.Text.Encode(prompt))];
            CheckLengths(ids, settings.MaxNewTokens, model.Config.ContextLength, request.Prompts is null ? "dialogues" : "prompts");
            return [.. ids.Select((prompt, i) => (Prompt: prompt, Key: Seeds.Derive((ulong)request.Seed, "generate", i)))
                .Chunk(run.Evaluation.BatchSize)
                .SelectMany(batch =>
                {
                    int[][] queries = [.. batch.Select(text => text.Prompt)];
                    return isGreedy
                        ? BatchGenerator.Greedy(model, queries, sampling, cancellation)
                        : BatchGenerator.Sample(model, queries, [.. batch.Select(text => text.Key)], sampling, cancellation);
                })
                .Select(response => new GeneratedText(loaded.Text.Decode(response), response.Length, sampling.EndOfTextIds!.Contains(response[^1])))];
        }
    }

    public void Dispose()
    {
        _oneAtATime.Dispose();
    }

    private static void CheckLengths(int[][] prompts, int newTokens, int context, string field)
    {
        int tooLong = Array.FindIndex(prompts, prompt => prompt.Length + newTokens > context);
        if (tooLong < 0) return;
        throw new InvalidInputException(
            $"{field}[{tooLong}] makes a prompt of {prompts[tooLong].Length} tokens; with maxNewTokens = {newTokens} that is more than the {context} "
            + "tokens of the model's context. Shorten it, or lower maxNewTokens.");
    }
}
