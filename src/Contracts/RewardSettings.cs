using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>The reward: a weighted sum of terms, each with its mean in the metrics as env/reward/{name}.</summary>
public sealed record RewardSettings
{
    /// <summary>Its terms. The probability of the judged label reported while learning is that of the first classifier among them.</summary>
    [MinLength(1)]
    [MaxLength(64)]
    public required IReadOnlyList<RewardTerm> Terms { get; init; }

    /// <summary>The classifiers among the terms, in order, those of an ensemble at its place.</summary>
    [JsonIgnore]
    public IEnumerable<ClassifierTerm> Classifiers => Terms.SelectMany(term => term switch
    {
        ClassifierTerm classifier => [classifier],
        EnsembleTerm ensemble => ensemble.Members,
        _ => Enumerable.Empty<ClassifierTerm>(),
    });
}

/// <summary>One thing a response is rewarded or punished for; the field kind says what.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = Discriminator)]
[JsonDerivedType(typeof(ClassifierTerm), ClassifierTerm.Kind)]
[JsonDerivedType(typeof(WordsTerm), WordsTerm.Kind)]
[JsonDerivedType(typeof(LengthTerm), LengthTerm.Kind)]
[JsonDerivedType(typeof(RepetitionTerm), RepetitionTerm.Kind)]
[JsonDerivedType(typeof(RegexTerm), RegexTerm.Kind)]
[JsonDerivedType(typeof(JsonSchemaTerm), JsonSchemaTerm.Kind)]
[JsonDerivedType(typeof(RougeTerm), RougeTerm.Kind)]
[JsonDerivedType(typeof(HttpTerm), HttpTerm.Kind)]
[JsonDerivedType(typeof(EnsembleTerm), EnsembleTerm.Kind)]
public abstract record RewardTerm
{
    /// <summary>The field that tells the kinds apart.</summary>
    public const string Discriminator = "kind";

    /// <param name="kind">Names the term where the request does not.</param>
    /// <param name="weight">The weight where the request gives none.</param>
    private protected RewardTerm(string kind, double weight)
    {
        Name = kind;
        Weight = weight;
    }

    /// <summary>Names the term in the metrics; the kind where it is not given. No two terms may share one.</summary>
    [RegularExpression("^[a-z0-9][a-z0-9_-]{0,39}$", ErrorMessage = "must be up to 40 lower-case letters, digits, '-' and '_', a letter or digit first.")]
    public string Name { get; init; }

    /// <summary>What the term's value is multiplied by; 0 only reports it.</summary>
    [Range(-1e6, 1e6)]
    public double Weight { get; init; }
}
