using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>Checks a request against the ranges on its properties and the rules that span several.</summary>
public static class RequestValidation
{
    /// <summary>What is repeated of a wrong value.</summary>
    private const int MostRepeated = 100;

    /// <summary>What is wrong, by the field's JSON path; empty: nothing.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(RunRequest request)
    {
        var errors = new Dictionary<string, List<string>>();
        CheckObject(request, "", Bounds.Usual, errors);
        CheckAcrossFields(request, (path, message) => Add(errors, path, message));
        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    /// <summary>As above, of a request for texts.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(GenerateRequest request, Limits limits)
    {
        var errors = new Dictionary<string, List<string>>();
        CheckObject(request, "", new Bounds(limits.PromptCharacters, limits.Prompts), errors);
        if (request.Prompts is null == request.Dialogues is null)
        {
            Add(errors, "prompts", "give either prompts or dialogues, and one of them.");
        }
        else
        {
            var (field, texts) = request.Prompts is { } prompts ? ("prompts", prompts) : ("dialogues", request.Dialogues!);
            if (texts.Count == 0) Add(errors, field, $"must hold 1 to {limits.Prompts} texts.");
            for (int i = 0; i < texts.Count && i < limits.Prompts; i++)
            {
                if (texts[i] is "") Add(errors, $"{field}[{i}]", "must not be empty.");
            }

            if (request.Samples > 1 && (long)request.Samples * texts.Count > limits.Prompts)
                Add(errors, "samples", $"makes {(long)request.Samples * texts.Count} texts, more than the {limits.Prompts} that are written at once.");
        }

        if (request is { Step: not null, RunId: null }) Add(errors, "step", "needs runId: it is a checkpoint of a run.");
        if (request is { Step: not null, Base: true }) Add(errors, "step", "cannot be given together with base: the base model has no steps.");
        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    /// <summary>As above, of a request for scores.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(ScoreRequest request, Limits limits)
    {
        var errors = new Dictionary<string, List<string>>();
        CheckObject(request, "", new Bounds(limits.PromptCharacters, limits.Prompts), errors);
        if (request.Texts.Count == 0) Add(errors, "texts", $"must hold 1 to {limits.Prompts} texts.");
        if (request.Prompts is { } prompts && prompts.Count != request.Texts.Count)
            Add(errors, "prompts", $"must be as many as the texts, {request.Texts.Count}, but are {prompts.Count}.");
        if (request.References is { } references && references.Count != request.Texts.Count)
            Add(errors, "references", $"must be as many as the texts, {request.Texts.Count}, but are {references.Count}.");
        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    /// <summary>As above, of the app's own settings.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(Limits limits)
    {
        return CheckFields(limits);
    }

    /// <summary>As above, of a campaign.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(CampaignRequest request)
    {
        var errors = CheckFields(request).ToDictionary(error => error.Key, error => error.Value.ToList());
        if (!request.PromptTemplate.Contains("{dialogue}", StringComparison.Ordinal))
            Add(errors, "promptTemplate", "must contain {dialogue} where the dialogue goes.");
        if (request.MaxCharacters <= request.MinCharacters)
            Add(errors, "maxCharacters", $"must be above minCharacters = {request.MinCharacters}.");
        for (int i = 0; i < request.Runs.Count; i++)
        {
            if (request.Runs[i] is { } run && !RunId.IsValid(run)) Add(errors, $"runs[{i}]", RunId.Rule);
        }

        CheckGeneration(request.Generation, (path, message) => Add(errors, path, message));
        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    /// <summary>As above, of an annotator's votes.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(VotesMessage message)
    {
        return CheckFields(message);
    }

    /// <summary>As above, of a training of a reward model.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(RewardRequest request)
    {
        return CheckFields(request);
    }

    private static Dictionary<string, string[]> CheckFields(object value)
    {
        var errors = new Dictionary<string, List<string>>();
        CheckObject(value, "", Bounds.Usual, errors);
        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    private static void CheckAcrossFields(RunRequest request, Action<string, string> add)
    {
        CheckTraining(request, add);
        var training = request.Training;
        if (request.Compute.RolloutShards > training.BatchSize)
            add("compute.rolloutShards", $"must not be above {training.Section}.batchSize = {training.BatchSize}, but is {request.Compute.RolloutShards}.");
        long ofOptimizerStep = (long)training.MiniBatchSize * training.GradientAccumulationSteps;
        if (request.Compute.UpdateShards > 1 && request.Compute.UpdateShards > ofOptimizerStep)
            add("compute.updateShards", $"must not be above {training.Section}.miniBatchSize × gradientAccumulationSteps = {ofOptimizerStep}, but is {request.Compute.UpdateShards}.");
        if (!request.Data.PromptTemplate.Contains("{dialogue}", StringComparison.Ordinal))
            add("data.promptTemplate", "must contain {dialogue} where the dialogue goes.");
        int rows = training.SamplesPerPrompt > 0 ? training.BatchSize / training.SamplesPerPrompt : 0;
        if (rows > request.Data.TrainRows)
            add("data.trainRows", $"must not be below {rows}: a step takes that many different rows, but is {request.Data.TrainRows}.");
        if (request.Data is { SystemPrompt: not null, Chat: false })
            add("data.systemPrompt", "needs data.chat to be true: without a chat template there is no system's turn. Write it into data.promptTemplate instead.");
        if (request.Data.MaxCharacters <= request.Data.MinCharacters)
            add("data.maxCharacters", $"must be above data.minCharacters = {request.Data.MinCharacters}.");
        CheckGeneration(request.Generation, add);
        if (request.Reward is { } reward) CheckRewardTerms(reward.Terms, add);
    }

    private static void CheckTraining(RunRequest request, Action<string, string> add)
    {
        var training = request.Training;
        foreach (var other in new TrainingSettings?[] { request.Ppo, request.Grpo, request.Rloo, request.Dpo }.OfType<TrainingSettings>().Where(section => section.Algorithm != request.Algorithm))
            add(other.Section, $"has no meaning where the algorithm is {training.Section}. Leave it out, or set algorithm to \"{other.Section}\".");

        long stepSize = (long)training.MiniBatchSize * training.GradientAccumulationSteps;
        if (stepSize > 0 && training.BatchSize % stepSize != 0)
            add($"{training.Section}.batchSize", $"must be a multiple of miniBatchSize × gradientAccumulationSteps = {stepSize}, but is {training.BatchSize}.");
        if (training.SamplesPerPrompt > 0 && training.BatchSize % training.SamplesPerPrompt != 0)
            add($"{training.Section}.groupSize", $"must divide {training.Section}.batchSize = {training.BatchSize}, but is {training.SamplesPerPrompt}.");
        if (training is PpoSettings { NormalizeScores: true, ScaleScores: false })
            add("ppo.normalizeScores", "needs ppo.scaleScores.");
        if (training is PpoSettings ppo && ppo.ValueWarmupSteps >= ppo.Steps && ppo.Steps > 0)
            add("ppo.valueWarmupSteps", $"must be below ppo.steps = {ppo.Steps}, or the policy never learns, but is {ppo.ValueWarmupSteps}.");
        if (training is GrpoSettings { OverlongBuffer: { } buffer } && buffer > request.Generation.MaxNewTokens)
            add("grpo.overlongBuffer", $"must not be above generation.maxNewTokens = {request.Generation.MaxNewTokens}, but is {buffer}.");
        if (training is DpoSettings { LabelSmoothing: > 0 } dpo && dpo.Loss != PreferenceLoss.Sigmoid)
            add("dpo.labelSmoothing", "goes with the loss \"sigmoid\" alone.");

        bool samples = training is SamplingSettings;
        Need("reward", request.Reward is not null, samples);
        Need("data.train", request.Data.Train is not null, samples);
        Need("data.preferences", request.Data.Preferences is not null, !samples);

        void Need(string field, bool isGiven, bool isNeeded)
        {
            if (isNeeded && !isGiven) add(field, $"is needed where the algorithm is {training.Section}.");
            if (isGiven && !isNeeded) add(field, $"has no meaning where the algorithm is {training.Section}: {(samples ? "it learns from what it samples" : "it learns from preferences, and samples nothing")}. Leave it out.");
        }
    }

    private static void CheckGeneration(GenerationSettings generation, Action<string, string> add)
    {
        int shortest = generation.MaxNewTokensLow ?? generation.MaxNewTokens;
        if (shortest > generation.MaxNewTokens)
            add("generation.maxNewTokensLow", $"must not be above generation.maxNewTokens = {generation.MaxNewTokens}, but is {shortest}.");
        if (generation.MinNewTokens > shortest)
            add("generation.minNewTokens", $"must not be above the {shortest} tokens at which a response may be cut, but is {generation.MinNewTokens}.");
        if (generation.EndOfTextIds is { } ids && ids.Any(id => id < 0))
            add("generation.endOfTextIds", "must not hold negative ids.");
        if (generation.AcceptBiasedSampling) return;

        const string Why = "Learning scores the softmax at the temperature, and with this samples from another distribution, so that its ratios and its KL "
            + "are wrong. Leave it out, or set generation.acceptBiasedSampling to true if that is what you want.";
        if (generation.TopK != 0) add("generation.topK", Why);
        if (generation.TopP != 1) add("generation.topP", Why);
        if (generation.RepetitionPenalty != 1) add("generation.repetitionPenalty", Why);
        if (generation.MinNewTokens != 0) add("generation.minNewTokens", Why);
    }

    private static void CheckRewardTerms(IReadOnlyList<RewardTerm> terms, Action<string, string> add)
    {
        for (int i = 0; i < terms.Count; i++)
        {
            string path = $"reward.terms[{i}]";
            if (terms[i] is null) continue; // refused already
            if (terms.Take(i).Any(earlier => earlier?.Name == terms[i].Name))
                add($"{path}.name", $"must not be \"{terms[i].Name}\" again: give each term a name of its own.");
            if (terms[i] is LengthTerm length && length.MaxWords < length.MinWords)
                add($"{path}.maxWords", $"must not be below minWords = {length.MinWords}, but is {length.MaxWords}.");
            if (terms[i] is WordsTerm list && list.Words.FirstOrDefault(word => word is not null && !word.Any(char.IsLetterOrDigit)) is { } wordless)
                add($"{path}.words", $"must be made of letters or digits, but one is \"{wordless}\".");
        }
    }

    private static void CheckObject(object value, string path, Bounds bounds, Dictionary<string, List<string>> errors)
    {
        foreach (var property in value.GetType().GetProperties())
        {
            if (property.GetCustomAttribute<JsonIgnoreAttribute>() is { Condition: JsonIgnoreCondition.Always }) continue;
            object? propertyValue = property.GetValue(value);
            string propertyPath = (path.Length == 0 ? "" : path + ".") + JsonNamingPolicy.CamelCase.ConvertName(property.Name);
            foreach (var attribute in property.GetCustomAttributes(true).OfType<ValidationAttribute>())
            {
                if (!attribute.IsValid(propertyValue)) Add(errors, propertyPath, Describe(attribute, propertyValue));
            }

            if (propertyValue is IList list)
                CheckItems(list, propertyPath, property.IsDefined(typeof(MaxLengthAttribute)), bounds, errors);
            else if (propertyValue is string text && !property.IsDefined(typeof(StringLengthAttribute)))
                CheckLength(text, propertyPath, bounds, errors);
            else if (IsOurs(propertyValue))
                CheckObject(propertyValue!, propertyPath, bounds, errors);
        }
    }

    private static void CheckLength(string text, string path, Bounds bounds, Dictionary<string, List<string>> errors)
    {
        if (text.Length > bounds.Characters) Add(errors, path, $"must not be longer than {bounds.Characters} characters, but has {text.Length}.");
    }

    private static void CheckItems(IList items, string path, bool hasBound, Bounds bounds, Dictionary<string, List<string>> errors)
    {
        if (!hasBound && items.Count > bounds.Items) Add(errors, path, $"must not hold more than {bounds.Items} items, but holds {items.Count}.");
        for (int i = 0; i < items.Count && i < bounds.Items; i++)
        {
            string itemPath = $"{path}[{i}]";
            if (items[i] is null) Add(errors, itemPath, "must not be null.");
            else if (items[i] is string text) CheckLength(text, itemPath, bounds, errors);
            else if (IsOurs(items[i])) CheckObject(items[i]!, itemPath, bounds, errors);
        }
    }

    private static bool IsOurs(object? value)
    {
        return value is not null && value.GetType().Namespace == typeof(RunRequest).Namespace;
    }

    private static string Describe(ValidationAttribute attribute, object? value)
    {
        string rule = attribute switch
        {
            RangeAttribute range => $"must be between {range.Minimum} and {range.Maximum}",
            MinLengthAttribute => "must not be empty",
            MaxLengthAttribute most => $"must not hold more than {most.Length} items",
            StringLengthAttribute most => $"must not be longer than {most.MaximumLength} characters",
            _ => (attribute.ErrorMessage ?? "is not valid").TrimEnd('.'),
        };
        if (value is null or ICollection) return rule + ".";
        string shown = value is double.PositiveInfinity or double.NegativeInfinity or double.NaN ? $"{value}" : JsonSerializer.Serialize(value, ContractsJson.Options);
        return $"{rule}, but is {(shown.Length <= MostRepeated ? shown : shown[..MostRepeated] + "…")}.";
    }

    private static void Add(Dictionary<string, List<string>> errors, string path, string message)
    {
        if (!errors.TryGetValue(path, out var messages)) errors[path] = messages = [];
        messages.Add(message);
    }

    /// <summary>Of texts and lists that have no bound of their own.</summary>
    private sealed record Bounds(int Characters, int Items)
    {
        public static Bounds Usual { get; } = new(4096, 10_000);
    }
}
