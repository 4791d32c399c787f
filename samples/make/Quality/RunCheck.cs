using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>What the oracle says of a run of the demo: of every sample, before and after.</summary>
internal sealed record RunCheck
{
    public required SummaryShares Before { get; init; }

    public required SummaryShares After { get; init; }

    /// <summary>Mean tokens of the civil samples before: what a response that lost nothing but its insults would have.</summary>
    public required double CivilTokensBefore { get; init; }

    public required double TokensAfter { get; init; }

    /// <summary>Share of the civil samples that are well-formed, before and after.</summary>
    public required (double Before, double After) CivilWellFormed { get; init; }

    /// <summary>Distinct-2 of the samples, before and after.</summary>
    public required (double Before, double After) DistinctBigrams { get; init; }

    /// <param name="folder">What <c>demo --output</c> wrote.</param>
    /// <param name="rows">The held-out rows of the run.</param>
    /// <exception cref="InvalidDataException">The folder holds no samples, or those of other dialogues.</exception>
    public static RunCheck Read(string folder, IReadOnlyList<DialogueRow> rows)
    {
        var path = Path.Combine(folder, RunFiles.Samples);
        if (!File.Exists(path))
            throw new InvalidDataException($"{path} is missing: give the folder that `demo --output` wrote.");
        var byId = rows.ToDictionary(row => row.Id);
        var pairs = File.ReadLines(path).Select(line => JsonSerializer.Deserialize<SamplePair>(line, ContractsJson.Options)!).ToArray();
        if (pairs.FirstOrDefault(pair => !byId.ContainsKey(pair.DialogueId)) is { } stranger)
            throw new InvalidDataException($"{path} tells of dialogue {stranger.DialogueId}, which is not in samples/dialogues/test.csv.");
        (MeasuredText Text, DialogueRow Row)[] before = [.. pairs.Select(pair => (pair.Before, byId[pair.DialogueId]))];
        (MeasuredText Text, DialogueRow Row)[] after = [.. pairs.Select(pair => (pair.After, byId[pair.DialogueId]))];
        return new()
        {
            Before = Shares(before),
            After = Shares(after),
            CivilTokensBefore = Civil(before).Average(s => s.Text.Tokens),
            TokensAfter = after.Average(s => s.Text.Tokens),
            Malformed = [.. after.Where(s => !RudenessOracle.IsWellFormed(s.Text.Text, s.Row)).Select(s => s.Text.Text)],
            CivilWellFormed = (WellFormed(Civil(before)), WellFormed(Civil(after))),
            DistinctBigrams = (Distinct(before), Distinct(after)),
        };
    }

    /// <summary>Samples after learning that the grammar could not have written.</summary>
    public required IReadOnlyList<string> Malformed { get; init; }

    /// <summary>The check as lines: what, before, after, and whether the promise of the sample models holds.</summary>
    public IReadOnlyList<(string What, double Before, double After, bool? Holds)> Lines() =>
    [
        ("rude: at most a sixth", Before.Rude, After.Rude, After.Rude <= Before.Rude / 6),
        ("well-formed: not below", Before.WellFormed, After.WellFormed, After.WellFormed >= Before.WellFormed),
        ("well-formed, of the civil ones", CivilWellFormed.Before, CivilWellFormed.After, null),
        ("faithful", Before.Faithful, After.Faithful, null),
        ("ended by itself: at least 0.98", Before.Ended, After.Ended, After.Ended >= 0.98),
        ("tokens, beside civil ones before: within 15 %", CivilTokensBefore, TokensAfter, Math.Abs((TokensAfter / CivilTokensBefore) - 1) <= 0.15),
        ("distinct-2: within 15 %", DistinctBigrams.Before, DistinctBigrams.After, Math.Abs((DistinctBigrams.After / DistinctBigrams.Before) - 1) <= 0.15),
    ];

    private static SummaryShares Shares((MeasuredText Text, DialogueRow Row)[] samples)
    {
        double Share(Func<(MeasuredText Text, DialogueRow Row), bool> holds) => samples.Count(holds) / (double)samples.Length;
        return new(
            Share(s => RudenessOracle.IsRude(s.Text.Text)),
            WellFormed(samples),
            Share(s => RudenessOracle.IsFaithful(s.Text.Text, s.Row)),
            Share(s => s.Text.EndedByEos),
            samples.Length);
    }

    private static (MeasuredText Text, DialogueRow Row)[] Civil((MeasuredText Text, DialogueRow Row)[] samples) =>
        [.. samples.Where(s => !RudenessOracle.IsRude(s.Text.Text))];

    private static double WellFormed((MeasuredText Text, DialogueRow Row)[] samples) =>
        samples.Count(s => RudenessOracle.IsWellFormed(s.Text.Text, s.Row)) / (double)samples.Length;

    private static double Distinct((MeasuredText Text, DialogueRow Row)[] samples) =>
        TextDiversity.DistinctNGrams(samples.Select(s => s.Text.Text), 2);
}
