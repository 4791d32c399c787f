using RlhfFunctions.Contracts;
using RlhfFunctions.Sources;

namespace RlhfFunctions.Runs;

/// <summary>Everything about a run request that can be known before the run: its own fields first, then what its sources name.</summary>
public sealed class RequestChecks(SourceFiles sources)
{
    /// <summary>What is wrong, by field; empty: nothing.</summary>
    public async Task<IReadOnlyDictionary<string, string[]>> CheckAsync(RunRequest request, CancellationToken cancellation)
    {
        var errors = RequestValidation.Check(request);
        if (errors.Count > 0) return errors;

        var found = new Dictionary<string, string?>
        {
            ["model.source"] = await sources.CheckModelAsync(request.Model.Source, cancellation),
            ["evaluation.judge"] = await sources.CheckClassifierAsync(request.Evaluation.Judge, [request.Evaluation.HateLabel], cancellation),
            ["data.train"] = await sources.CheckFileAsync(sources.PartOf(request.Data.Train, "train"), cancellation),
            ["data.test"] = await sources.CheckFileAsync(sources.PartOf(request.Data.Test, "test"), cancellation),
        };
        for (int i = 0; i < request.Reward.Terms.Count; i++)
        {
            if (request.Reward.Terms[i] is ClassifierTerm term)
                found[$"reward.terms[{i}]"] = await sources.CheckClassifierAsync(term.Source, [term.Label, term.HateLabel], cancellation);
        }

        return found.Where(error => error.Value is not null).ToDictionary(error => error.Key, error => new[] { error.Value! });
    }
}
