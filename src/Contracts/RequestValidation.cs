using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace RlhfFunctions.Contracts;

/// <summary>Checks a request against the ranges on its properties and the rules that span several.</summary>
public static class RequestValidation
{
    /// <summary>What is wrong, by the field's JSON path; empty: nothing.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(RunRequest request)
    {
        var errors = new Dictionary<string, List<string>>();
        CheckObject(request, "", errors);
        CheckAcrossFields(request, (path, message) => Add(errors, path, message));
        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    /// <summary>As above, of a request for texts.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(GenerateRequest request)
    {
        var errors = new Dictionary<string, List<string>>();
        CheckObject(request, "", errors);
        if (request.Prompts is null == request.Dialogues is null)
        {
            Add(errors, "prompts", "give either prompts or dialogues, and one of them.");
        }
        else
        {
            var (field, texts) = request.Prompts is { } prompts ? ("prompts", prompts) : ("dialogues", request.Dialogues!);
            if (texts.Count is 0 or > GenerateRequest.MaxTexts) Add(errors, field, $"must hold 1 to {GenerateRequest.MaxTexts} texts, but holds {texts.Count}.");
            for (int i = 0; i < texts.Count; i++)
            {
                if (string.IsNullOrEmpty(texts[i])) Add(errors, $"{field}[{i}]", "must not be empty.");
            }
        }

        return errors.ToDictionary(error => error.Key, error => error.Value.ToArray());
    }

    private static void CheckAcrossFields(RunRequest request, Action<string, string> add)
    {
        var ppo = request.Ppo;
        int stepSize = ppo.MiniBatchSize * ppo.GradientAccumulationSteps;
        if (stepSize > 0 && ppo.BatchSize % stepSize != 0)
            add("ppo.batchSize", $"must be a multiple of miniBatchSize × gradientAccumulationSteps = {stepSize}, but is {ppo.BatchSize}.");
        if (request.Compute.RolloutShards > ppo.BatchSize)
            add("compute.rolloutShards", $"must not be above ppo.batchSize = {ppo.BatchSize}, but is {request.Compute.RolloutShards}.");
        if (!request.Data.PromptTemplate.Contains("{dialogue}", StringComparison.Ordinal))
            add("data.promptTemplate", "must contain {dialogue} where the dialogue goes.");
        if (request.Data.MaxCharacters <= request.Data.MinCharacters)
            add("data.maxCharacters", $"must be above data.minCharacters = {request.Data.MinCharacters}.");
        if (ppo.NormalizeScores && !ppo.ScaleScores)
            add("ppo.normalizeScores", "needs ppo.scaleScores.");
    }

    private static void CheckObject(object value, string path, Dictionary<string, List<string>> errors)
    {
        foreach (var property in value.GetType().GetProperties())
        {
            object? propertyValue = property.GetValue(value);
            string propertyPath = (path.Length == 0 ? "" : path + ".") + JsonNamingPolicy.CamelCase.ConvertName(property.Name);
            foreach (var attribute in property.GetCustomAttributes(true).OfType<ValidationAttribute>())
            {
                if (!attribute.IsValid(propertyValue)) Add(errors, propertyPath, Describe(attribute, propertyValue));
            }

            if (propertyValue is not null and not IEnumerable && property.PropertyType.Namespace == typeof(RunRequest).Namespace)
                CheckObject(propertyValue, propertyPath, errors);
        }
    }

    private static string Describe(ValidationAttribute attribute, object? value)
    {
        string rule = attribute switch
        {
            RangeAttribute range => $"must be between {range.Minimum} and {range.Maximum}",
            MinLengthAttribute => "must not be empty",
            _ => (attribute.ErrorMessage ?? "is not valid").TrimEnd('.'),
        };
        return value is null or ICollection ? rule + "." : $"{rule}, but is {JsonSerializer.Serialize(value, ContractsJson.Options)}.";
    }

    private static void Add(Dictionary<string, List<string>> errors, string path, string message)
    {
        if (!errors.TryGetValue(path, out var messages)) errors[path] = messages = [];
        messages.Add(message);
    }
}
