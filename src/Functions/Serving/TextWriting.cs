using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Serving;

/// <summary>Writes texts with a policy. One request at a time: each that runs beside another would load a model of its own.</summary>
public sealed class TextWriting(Checkpoints checkpoints, PolicyPool policies) : IDisposable
{
    private readonly SemaphoreSlim _oneAtATime = new(1);

    /// <summary>All texts that are asked for.</summary>
    /// <exception cref="InvalidInputException">A prompt and its text do not fit into the model's context.</exception>
    public Task<IReadOnlyList<GeneratedText>> WriteAsync(ServedPolicy served, GenerateRequest request, CancellationToken cancellation)
    {
        return WriteAsync(served, request, PromptsOf(served, request), null, cancellation);
    }

    /// <summary>The same, a piece as soon as it is there.</summary>
    public IAsyncEnumerable<TextPiece> StreamAsync(ServedPolicy served, GenerateRequest request, CancellationToken cancellation)
    {
        return StreamAsync(served, request, PromptsOf(served, request), cancellation);
    }

    /// <param name="served">Writes.</param>
    /// <param name="request">Says how; its prompts are not looked at.</param>
    /// <param name="prompts">Makes the prompts, which are as many as the texts.</param>
    /// <param name="cancellation">Stops between tokens.</param>
    internal async IAsyncEnumerable<TextPiece> StreamAsync(
        ServedPolicy served, GenerateRequest request, Func<LoadedPolicy, int[][]> prompts, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var pieces = Channel.CreateUnbounded<TextPiece>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var writing = Task.Run(
            async () =>
            {
                try
                {
                    await WriteAsync(served, request, prompts, piece => pieces.Writer.TryWrite(piece), stop.Token);
                    pieces.Writer.Complete();
                }
                catch (Exception e)
                {
                    pieces.Writer.Complete(e); // thrown where the pieces are read
                }
            },
            CancellationToken.None);
        try
        {
            await foreach (var piece in pieces.Reader.ReadAllAsync(cancellation)) yield return piece;
        }
        finally
        {
            await stop.CancelAsync();
            await writing;
        }
    }

    internal async Task<IReadOnlyList<GeneratedText>> WriteAsync(
        ServedPolicy served, GenerateRequest request, Func<LoadedPolicy, int[][]> prompts, Action<TextPiece>? onPiece, CancellationToken cancellation)
    {
        var run = served.Request;
        var checkpoint = served.Step is { } step ? await checkpoints.ReadAsync(run.RunId!, step, cancellation) : null;
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
            int[][] ids = prompts(loaded);
            CheckLengths(ids, settings.MaxNewTokens, model.Config.ContextLength, request.Samples, request.Dialogues is null ? "prompts" : "dialogues");
            return [.. ids.Select((prompt, i) => (Index: i, Prompt: prompt, Key: Seeds.Derive((ulong)request.Seed, "generate", i)))
                .Chunk(run.Evaluation.BatchSize)
                .SelectMany(batch =>
                {
                    int[][] queries = [.. batch.Select(text => text.Prompt)];
                    var told = batch.Select(text => new ToldText(text.Index, loaded.Text, onPiece)).ToArray();
                    Action<int, int>? onToken = onPiece is null ? null : (place, id) => told[place].Add(id);
                    var responses = isGreedy
                        ? BatchGenerator.Greedy(model, queries, sampling, cancellation, onToken: onToken)
                        : BatchGenerator.Sample(model, queries, [.. batch.Select(text => text.Key)], sampling, cancellation, onToken: onToken);
                    return responses.Zip(told, (response, text) => text.End(
                        new GeneratedText(loaded.Text.Decode(response), response.Length, sampling.EndOfTextIds!.Contains(response[^1]))));
                })];
        }
    }

    public void Dispose()
    {
        _oneAtATime.Dispose();
    }

    private static Func<LoadedPolicy, int[][]> PromptsOf(ServedPolicy served, GenerateRequest request)
    {
        return loaded => [.. (request.Prompts?.Select(prompt => loaded.Text.Encode(prompt)) ?? request.Dialogues!.Select(loaded.Prompts(served.Request.Data).Encode))
            .SelectMany(prompt => Enumerable.Repeat(prompt, request.Samples))];
    }

    private static void CheckLengths(int[][] prompts, int newTokens, int context, int samples, string field)
    {
        int tooLong = Array.FindIndex(prompts, prompt => prompt.Length + newTokens > context);
        if (tooLong < 0) return;
        throw new InvalidInputException(
            $"{field}[{tooLong / samples}] makes a prompt of {prompts[tooLong].Length} tokens; with maxNewTokens = {newTokens} that is more than the {context} "
            + "tokens of the model's context. Shorten it, or lower maxNewTokens.");
    }

    /// <summary>A text that is told as it grows.</summary>
    private sealed class ToldText(int index, LlamaText text, Action<TextPiece>? onPiece)
    {
        private readonly TextStream _stream = new(text);

        public void Add(int id)
        {
            if (_stream.Append(id) is { Length: > 0 } piece) onPiece!(new TextPiece(index, piece));
        }

        public GeneratedText End(GeneratedText whole)
        {
            onPiece?.Invoke(new TextPiece(index, _stream.End()) { Whole = whole });
            return whole;
        }
    }
}
