using System.Text.Json;
using System.Text.RegularExpressions;
using Json.Schema;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>1 of a response that a pattern matches somewhere, 0 of any other. The match takes time in proportion to the response, whatever the pattern.</summary>
public sealed class RegexReward : ITextReward
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10); // for patterns that are huge by their counts

    private readonly Regex _pattern;

    /// <param name="pattern">A .NET pattern that needs no backtracking.</param>
    /// <exception cref="ArgumentException">It is malformed, or looks around or back; the message says so.</exception>
    public RegexReward(string pattern)
    {
        try
        {
            _pattern = new(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, Limit);
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException($"The pattern {pattern} looks around or refers back, which may take for ever. Write it without.", e);
        }
    }

    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(item => new TextScore(_pattern.IsMatch(item.Response) ? 1 : 0))];
}

/// <summary>1 of a response that as a whole is JSON and fits a schema, 0 of any other.</summary>
public sealed class JsonSchemaReward : ITextReward
{
    private readonly JsonSchema _schema;

    /// <param name="schema">A JSON schema.</param>
    /// <exception cref="ArgumentException">It is none; the message says why.</exception>
    public JsonSchemaReward(string schema)
    {
        try
        {
            _schema = JsonSchema.FromText(schema);
        }
        catch (Exception e) when (e is JsonException or JsonSchemaException)
        {
            throw new ArgumentException($"The schema is no JSON schema: {e.Message}", e);
        }
    }

    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(item => new TextScore(Fits(item.Response) ? 1 : 0))];

    private bool Fits(string response)
    {
        try
        {
            using var json = JsonDocument.Parse(response);
            return _schema.Evaluate(json.RootElement).IsValid;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
