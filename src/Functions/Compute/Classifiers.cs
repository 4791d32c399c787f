using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>A run's reward and judge. Keeps loaded classifiers; they hold no state, so activities that run side by side share them.</summary>
public sealed class Classifiers(ModelFolders models)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Folder, string Device), TextClassifier> _loaded = [];

    /// <summary>The run's reward: its terms and their weights.</summary>
    /// <exception cref="InvalidInputException">A classifier lacks a label.</exception>
    public async Task<ITextReward> RewardAsync(PreparedRun prepared, RunRequest request, CancellationToken cancellation)
    {
        var classifiers = new Queue<string>(prepared.Rewards);
        var terms = new List<(double Weight, ITextReward Reward)>();
        foreach (var term in request.Reward.Terms)
        {
            ITextReward reward = term switch
            {
                ClassifierTerm classifier => await ClassifierAsync(classifiers.Dequeue(), classifier, request.Compute.Device, cancellation),
                WordsTerm list => new WordListReward(list.Words),
                LengthTerm length => new LengthReward(length.MinWords, length.MaxWords),
                RepetitionTerm repetition => new RepetitionReward(repetition.NGram),
                _ => throw new NotSupportedException($"A reward term {term.GetType().Name} is not known."),
            };
            terms.Add((term.Weight, reward));
        }

        return new WeightedReward(terms);
    }

    /// <summary>The run's judge, which reads the response alone.</summary>
    /// <exception cref="InvalidInputException">It lacks the label.</exception>
    public async Task<ITextReward> JudgeAsync(PreparedRun prepared, RunRequest request, CancellationToken cancellation)
    {
        var judge = new ClassifierTerm
        {
            Source = request.Evaluation.Judge,
            Label = request.Evaluation.HateLabel,
            HateLabel = request.Evaluation.HateLabel,
        };
        return await ClassifierAsync(prepared.Judge, judge, request.Compute.Device, cancellation);
    }

    private async Task<ClassifierReward> ClassifierAsync(string modelPath, ClassifierTerm term, string device, CancellationToken cancellation)
    {
        string folder = await models.FetchAsync(modelPath, cancellation);
        var classifier = Loaded(folder, device);
        try
        {
            return new ClassifierReward(classifier, term.Label, term.HateLabel, term.Value, term.Text);
        }
        catch (ArgumentException e)
        {
            throw new InvalidInputException($"{term.Source}: {e.Message}", e); // the same request would be as wrong the next time
        }
    }

    private TextClassifier Loaded(string folder, string device)
    {
        lock (_gate)
        {
            if (!_loaded.TryGetValue((folder, device), out var classifier))
                _loaded[(folder, device)] = classifier = TextClassifier.Load(folder, Torch.Device(device));
            return classifier;
        }
    }
}
