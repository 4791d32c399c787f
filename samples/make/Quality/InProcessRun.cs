using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>The learning of a run of the samples, step by step in this process, with a reward of the caller's.</summary>
internal sealed class InProcessRun : IDisposable
{
    private readonly RunRequest _request;
    private readonly LlamaForCausalLm _model;
    private readonly LlamaText _text;
    private readonly TextClassifier _reward, _judge;
    private readonly int[][] _prompts;

    /// <param name="request">A run request, such as samples/demo.json.</param>
    public InProcessRun(string request)
    {
        _request = JsonSerializer.Deserialize<RunRequest>(File.ReadAllBytes(request), ContractsJson.Strict)!;
        Threads.Use(_request.Compute.UpdateThreads);
        var models = Path.Combine(Repository.Root, "samples", "models");
        _model = LlamaForCausalLm.Load(Path.Combine(models, "llama"));
        _text = LlamaText.FromFolder(Path.Combine(models, "llama"));
        _reward = TextClassifier.Load(Path.Combine(models, "reward"), CPU);
        _judge = TextClassifier.Load(Path.Combine(models, "judge"), CPU);
        var rows = DialogueSelection.Select(
            DialogueReader.ReadFile(Path.Combine(Repository.Root, "samples", "dialogues", "train.csv")), _request.Data.TrainRows,
            _request.Data.MinCharacters, _request.Data.MaxCharacters);
        var prompts = new DialoguePrompts(_request.Data, _text, null);
        _prompts = [.. rows.Select(row => prompts.Encode(row.Dialogue))];
    }

    /// <summary>The reward of the demo.</summary>
    public ITextReward Honest => new WeightedReward([(1, new ClassifierReward(_reward, "nothate", "hate")), (-0.5, new LengthReward(1, 12))]);

    /// <summary>Every step's samples, statistics and what the watch makes of them, until somebody stops asking.</summary>
    public IEnumerable<(IReadOnlyList<RolloutSample> Samples, StepStats Stats, HackWatch Watch)> Steps(ITextReward reward, ulong seed)
    {
        var algorithm = Algorithm.Of(_request.Training, _request.Generation);
        using var adapter = LoraAdapter.Attach(_model, _request.Lora, seed);
        using var valueHead = algorithm.HasValueHead ? new ValueHead(_model.Config.HiddenSize, CPU) : null;
        var policy = new TrainedPolicy(_model, adapter, valueHead);
        using var state = TrainingState.Start(policy, algorithm);
        var judge = new ClassifierReward(_judge, "hate", "hate");
        var (batch, each) = (_request.Training.BatchSize, _request.Training.SamplesPerPrompt);
        for (var step = 0; step < _request.Training.Steps; step++)
        {
            var rows = PromptOrder.Batch(seed, _prompts.Length, batch / each, step);
            var samples = RolloutCollector.Collect(
                policy, _text.Decode, reward, [.. Enumerable.Range(0, batch).Select(i => _prompts[rows[i / each]])],
                new()
                {
                    RunSeed = seed,
                    Step = step,
                    FirstSample = 0,
                    Generation = _request.Generation,
                    KlPenalty = algorithm.Penalty,
                    ScoringBatchSize = _request.Training.MiniBatchSize,
                },
                CancellationToken.None);
            var stats = PolicyUpdate.Run(policy, state, samples, algorithm, PolicyUpdate.EpochOrder(seed, step), CancellationToken.None);
            var judged = judge.Score([.. samples.Select(sample => PromptedResponse.Alone(sample.Text))], CancellationToken.None);
            var sums = WatchSums.Of(samples, [.. judged.Select(score => (double)score.LabelProbability!)]);
            state.Watch = state.Watch.After(step, sums, _request.Watch!, _request.Evaluation.MinToUnlearn);
            yield return (samples, stats, state.Watch);
        }
    }

    public void Dispose()
    {
        _judge.Dispose();
        _reward.Dispose();
        _model.Dispose();
    }
}
