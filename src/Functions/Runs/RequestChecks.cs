using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;
using TorchSharp;

namespace RlhfFunctions.Runs;

/// <summary>
/// Everything about a run request that can be known before the run: its own fields first, then what its sources name, by the models'
/// config.json wherever they lie. What a hub does not tell in a few seconds is taken on trust; the run will see.
/// </summary>
public sealed class RequestChecks(
    SourceFiles sources, RewardRecords rewards, CampaignRecords campaigns, ComputeDevices devices, PriceSetting prices, RewardServices services,
    RunNotices notices)
{
    /// <summary>What is wrong, by field; empty: nothing.</summary>
    public async Task<IReadOnlyDictionary<string, string[]>> CheckAsync(RunRequest request, CancellationToken cancellation)
    {
        var errors = RequestValidation.Check(request);
        if (errors.Count > 0) return errors;

        var checks = new List<Task<IReadOnlyList<Finding>>>
        {
            CheckBaseAsync(request, cancellation),
            CheckDataAsync(request.Data.Test, "test", cancellation),
        };
        if (request.Evaluation.Judge is { } judge) checks.Add(CheckJudgeAsync(judge, request.Evaluation.Label, cancellation));
        if (request.Data.Train is { } train) checks.Add(CheckDataAsync(train, "train", cancellation));
        if (request.Data.PreferencesCampaign is { } campaign) checks.Add(CheckCampaignAsync(campaign, request.Data, cancellation));
        else if (request.Data.Preferences is { } preferences) checks.Add(CheckDataAsync(preferences, "preferences", cancellation));
        var terms = request.Reward?.Terms ?? [];
        for (int i = 0; i < terms.Count; i++) checks.AddRange(CheckTerm(terms[i], $"reward.terms[{i}]", cancellation));

        var found = (await Task.WhenAll(checks)).SelectMany(findings => findings);
        if (request.Compute.Device == "cuda" && !devices.HaveCuda)
            found = found.Append(new Finding("compute.device", "is \"cuda\", but the machines that compute have no CUDA device. Ask for \"cpu\"."));
        if (request.Limits.MaxCost is not null && prices.Price is null)
            found = found.Append(new Finding("limits.maxCost", $"needs a price: set {Price.Setting} on the app, such as \"0.90 EUR\" for an hour of a replica."));
        if (request.Notify is { } notify && notices.ProblemWith(notify.Url) is { } untold)
            found = found.Append(new Finding("notify.url", untold));
        return found.GroupBy(finding => finding.Field).ToDictionary(field => field.Key, field => field.Select(finding => finding.Problem).Distinct().ToArray());
    }

    private IEnumerable<Task<IReadOnlyList<Finding>>> CheckTerm(RewardTerm term, string field, CancellationToken cancellation)
    {
        return term switch
        {
            ClassifierTerm classifier =>
            [
                CheckClassifierAsync(classifier, field, cancellation),
                CheckWorthAsync(classifier, $"{field}.source", cancellation),
            ],
            EnsembleTerm ensemble => ensemble.Members.SelectMany((member, i) => CheckTerm(member, $"{field}.members[{i}]", cancellation)),
            HttpTerm http => [Said($"{field}.url", services.ProblemWith(http.Url))],
            RegexTerm regex => [Said($"{field}.pattern", ProblemOf(() => new RegexReward(regex.Pattern)))],
            JsonSchemaTerm schema => [Said($"{field}.schema", ProblemOf(() => new JsonSchemaReward(schema.Schema.GetRawText())))],
            _ => [],
        };

        static Task<IReadOnlyList<Finding>> Said(string field, string? problem) =>
            Task.FromResult<IReadOnlyList<Finding>>(problem is null ? [] : [new Finding(field, problem)]);

        static string? ProblemOf(Func<ITextReward> make)
        {
            try
            {
                make();
                return null;
            }
            catch (ArgumentException e)
            {
                return e.Message;
            }
        }
    }

    private async Task<IReadOnlyList<Finding>> CheckBaseAsync(RunRequest request, CancellationToken cancellation)
    {
        return await CheckModelAsync(request.Model.Source, "model.source", Check, cancellation);

        IEnumerable<Finding> Check(ConfigFile file)
        {
            var config = LlamaConfig.Read(file);
            if (LoraTargets.ProblemWith(request.Lora.TargetModules, LoraTargets.ProjectionsOf(config)) is { } problem)
                yield return new Finding("lora.targetModules", problem);
            int newTokens = request.Generation.MaxNewTokens;
            if (newTokens >= config.ContextLength)
            {
                yield return new Finding("generation.maxNewTokens",
                    $"must leave room for a prompt in the model's context of {config.ContextLength} tokens, but is {newTokens}.");
            }

            if (request.Generation.EndOfTextIds?.FirstOrDefault(id => id >= config.VocabularySize) is { } unknown and > 0)
                yield return new Finding("generation.endOfTextIds", $"must be below the model's {config.VocabularySize} ids, but one is {unknown}.");
        }
    }

    private Task<IReadOnlyList<Finding>> CheckJudgeAsync(string judge, string label, CancellationToken cancellation)
    {
        return CheckModelAsync(judge, "evaluation.judge", Check, cancellation);

        IEnumerable<Finding> Check(ConfigFile file)
        {
            var labels = TextClassifier.LabelsOf(file);
            if (labels.Rule == LabelRule.Scores)
                yield return new Finding("evaluation.judge", $"gives scores, and no probability of a label: name a classifier with the label \"{label}\".");
            else if (TextClassifier.ProblemWith(label, labels.Names, judge) is { } problem)
                yield return new Finding("evaluation.label", problem);
        }
    }

    private Task<IReadOnlyList<Finding>> CheckClassifierAsync(ClassifierTerm term, string field, CancellationToken cancellation)
    {
        return CheckModelAsync(term.Source, $"{field}.source", Check, cancellation);

        IEnumerable<Finding> Check(ConfigFile file)
        {
            var labels = TextClassifier.LabelsOf(file);
            if (TextClassifier.ProblemWith(term.Label, labels.Names, term.Source) is { } problem) yield return new Finding($"{field}.label", problem);
            if (ClassifierReward.ProblemWith(term.Value, labels.Rule) is { } wrong) yield return new Finding($"{field}.value", wrong);
            // What scores and does not classify has no probability to tell of.
            if (labels.Rule != LabelRule.Scores && term.JudgedLabel is { } judged && TextClassifier.ProblemWith(judged, labels.Names, term.Source) is { } unknown)
                yield return new Finding($"{field}.judgedLabel", unknown);
        }
    }

    /// <summary>A reward model of ours that its own report calls weak steers no run unless that is acknowledged.</summary>
    private async Task<IReadOnlyList<Finding>> CheckWorthAsync(ClassifierTerm term, string field, CancellationToken cancellation)
    {
        if (term.AcceptWeak || Source.Parse(term.Source) is not BlobSource blob || !blob.Path.StartsWith($"{BlobPaths.Models}/", StringComparison.Ordinal)) return [];
        var outcome = await rewards.FindOutcomeAsync(blob.Path[(BlobPaths.Models.Length + 1)..], cancellation);
        return outcome?.Report.Refusal is { } why
            ? [new Finding(field, $"is a reward model that should not steer a run: {why}. Collect more votes, or set acceptWeak to true if that is what you want.")]
            : [];
    }

    /// <summary>What people judged must have been written as the run will write.</summary>
    private async Task<IReadOnlyList<Finding>> CheckCampaignAsync(string id, DataSettings data, CancellationToken cancellation)
    {
        if (await campaigns.FindAsync(id, cancellation) is not { } campaign) return [new Finding("data.preferences", $"names no campaign: there is no {id}.")];
        if (await campaigns.FindPairsAsync(campaign, cancellation) is null)
            return [new Finding("data.preferences", $"names campaign {id}, whose pairs are still being generated. Ask again when its status is Open, and there are votes.")];
        if (data.Chat) return [new Finding("data.chat", $"cannot be true with the votes of a campaign: its prompts are texts.")];
        return campaign.PromptTemplate == data.PromptTemplate ? [] : [new Finding("data.promptTemplate", $"must be that of campaign {id}: its responses answer other prompts.")];
    }

    private async Task<IReadOnlyList<Finding>> CheckModelAsync(
        string source, string field, Func<ConfigFile, IEnumerable<Finding>> check, CancellationToken cancellation)
    {
        try
        {
            return await sources.FindConfigAsync(source, cancellation) is { } config ? [.. check(config)] : [];
        }
        catch (Exception e) when (e is InvalidInputException or InvalidDataException or CorruptArtifactException)
        {
            return [new Finding(field, e.Message)];
        }
    }

    private async Task<IReadOnlyList<Finding>> CheckDataAsync(string source, string part, CancellationToken cancellation)
    {
        try
        {
            string file = sources.PartOf(source, part);
            return await sources.CheckFileAsync(file, cancellation) is { } problem ? [new Finding($"data.{part}", problem)] : [];
        }
        catch (InvalidInputException e)
        {
            return [new Finding($"data.{part}", e.Message)];
        }
    }

    private sealed record Finding(string Field, string Problem);
}

/// <summary>What the machines that compute can compute on; they may be others than the one that answers.</summary>
/// <param name="Names">With commas between them; null: the same machine computes, and libtorch is asked.</param>
public sealed record ComputeDevices(string? Names)
{
    public bool HaveCuda => Names?.Split(',', StringSplitOptions.TrimEntries).Contains("cuda") ?? torch.cuda.is_available();
}
