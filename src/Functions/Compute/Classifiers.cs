using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>A run's reward and judge. Their classifiers hold no state, so activities that run side by side share them.</summary>
public sealed class Classifiers(ModelFolders folders, LoadedModels models, RewardServices services)
{
    /// <summary>The run's reward: its terms and their weights.</summary>
    /// <exception cref="InvalidInputException">A classifier lacks a label.</exception>
    public async Task<LeasedReward> RewardAsync(PreparedRun prepared, RunRequest request, CancellationToken cancellation)
    {
        var classifiers = new Queue<string>(prepared.Rewards);
        var terms = new List<(double Weight, ITextReward Reward)>();
        var leases = new List<IDisposable>();
        try
        {
            foreach (var term in request.Reward!.Terms)
            {
                ITextReward reward = term switch
                {
                    ClassifierTerm classifier => await ClassifierAsync(classifiers.Dequeue(), classifier, request, leases, cancellation),
                    WordsTerm list => new WordListReward(list.Words),
                    LengthTerm length => new LengthReward(length.MinWords, length.MaxWords),
                    RepetitionTerm repetition => new RepetitionReward(repetition.NGram),
                    RegexTerm regex => new RegexReward(regex.Pattern),
                    JsonSchemaTerm schema => new JsonSchemaReward(schema.Schema.GetRawText()),
                    RougeTerm rouge => new RougeReward(rouge.Variant),
                    HttpTerm http => services.Open(http),
                    EnsembleTerm ensemble => new EnsembleReward(await MembersAsync(ensemble), ensemble.Combine, ensemble.Deviations),
                    _ => throw new NotSupportedException($"A reward term {term.GetType().Name} is not known."),
                };
                terms.Add((term.Weight, reward));
            }

            return new LeasedReward(new WeightedReward(terms), leases);
        }
        catch (Exception e)
        {
            leases.ForEach(lease => lease.Dispose());
            if (e is ArgumentException) throw new InvalidInputException(e.Message, e); // a pattern or a schema
            throw;
        }

        async Task<IReadOnlyList<ITextReward>> MembersAsync(EnsembleTerm ensemble)
        {
            var members = new List<ITextReward>();
            foreach (var member in ensemble.Members)
                members.Add(await ClassifierAsync(classifiers.Dequeue(), member with { Weight = ensemble.Weight }, request, leases, cancellation));
            return members;
        }
    }

    /// <summary>The run's judge, which reads the response alone; null: it has none.</summary>
    /// <exception cref="InvalidInputException">It lacks the label.</exception>
    public async Task<LeasedReward?> FindJudgeAsync(PreparedRun prepared, RunRequest request, CancellationToken cancellation)
    {
        if (prepared.Judge is not { } path) return null;
        var judge = new ClassifierTerm { Source = request.Evaluation.Judge!, Label = request.Evaluation.Label };
        var leases = new List<IDisposable>();
        return new LeasedReward(await ClassifierAsync(path, judge, request, leases, cancellation), leases);
    }

    private async Task<ClassifierReward> ClassifierAsync(
        string modelPath, ClassifierTerm term, RunRequest request, List<IDisposable> leases, CancellationToken cancellation)
    {
        string folder = await folders.FetchAsync(modelPath, cancellation);
        string device = request.Compute.Device;
        var lease = models.TakeShared($"{device} {folder}", ModelFolders.BytesIn(folder), () => TextClassifier.Load(folder, Torch.Device(device)));
        try
        {
            string? judgedLabel = term.JudgedLabel ?? (lease.Model.TellsProbabilityOf(request.Evaluation.Label) ? request.Evaluation.Label : null);
            var reward = new ClassifierReward(lease.Model, term.Label, judgedLabel, term.Value, term.Text, isPunished: term.Weight < 0);
            leases.Add(lease);
            return reward;
        }
        catch (ArgumentException e)
        {
            lease.Dispose();
            throw new InvalidInputException($"{term.Source}: {e.Message}", e); // the same request would be as wrong the next time
        }
    }
}

/// <summary>A reward whose classifiers stay in memory until this is disposed.</summary>
public sealed class LeasedReward(ITextReward reward, IReadOnlyList<IDisposable> leases) : IDisposable
{
    public ITextReward Reward => reward;

    public void Dispose()
    {
        foreach (var lease in leases) lease.Dispose();
    }
}
