using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Campaigns;

/// <summary>What was said of a pair by all who judged it.</summary>
/// <param name="DialogueId">The row's name in its file.</param>
/// <param name="Prompt">The filled prompt template.</param>
/// <param name="A">A response.</param>
/// <param name="B">Another one.</param>
/// <param name="AWins">Mean over the votes of 1, ½ or 0.</param>
public sealed record Preference(string DialogueId, string Prompt, string A, string B, double AWins)
{
    /// <summary>The votes that count for learning, pair by pair: no gold, no repeats, nothing skipped.</summary>
    public static IReadOnlyList<Preference> Of(CampaignRequest campaign, IReadOnlyList<CampaignPair> pairs, IEnumerable<CountedVote> votes)
    {
        return [.. votes.Where(vote => vote is { IsRepeat: false, Gold: null } && vote.Choice != VoteChoice.Skip)
            .GroupBy(vote => int.Parse(vote.PairId)).OrderBy(group => group.Key)
            .Select(group => Of(campaign, pairs[group.Key], group.Average(vote => VoteCounts.FirstWins(vote.Choice))))];
    }

    /// <summary>The pairs with a known answer, as preferences that nothing is learnt from.</summary>
    public static IReadOnlyList<Preference> Gold(CampaignRequest campaign, IReadOnlyList<CampaignPair> pairs)
    {
        return [.. pairs.Where(pair => pair.Gold is not null).Select(pair => Of(campaign, pair, VoteCounts.FirstWins(pair.Gold!.Value)))];
    }

    /// <summary>What has a better response, as DPO reads it: what most preferred, and no two that are the same text.</summary>
    public static IEnumerable<PreferenceRow> Decided(IEnumerable<Preference> preferences)
    {
        return preferences.Where(p => p.AWins != 0.5 && p.A != p.B)
            .Select(p => p.AWins > 0.5 ? new PreferenceRow(p.DialogueId, p.Prompt, p.A, p.B) : new PreferenceRow(p.DialogueId, p.Prompt, p.B, p.A));
    }

    private static Preference Of(CampaignRequest campaign, CampaignPair pair, double aWins)
    {
        return new Preference(pair.DialogueId, new PromptTemplate(campaign.PromptTemplate).Fill(pair.Dialogue), pair.A, pair.B, aWins);
    }
}

/// <summary>What a campaign's votes say of its pairs.</summary>
public sealed class CampaignPreferences(CampaignRecords campaigns, CampaignVotes votes)
{
    /// <summary>The preferences, and the pairs with a known answer.</summary>
    /// <param name="campaignId">The campaign.</param>
    /// <param name="before">Only what was said before counts; null: all.</param>
    /// <param name="cancellation">Stops between annotators.</param>
    /// <exception cref="InvalidInputException">There is no such campaign, or it has no pairs yet.</exception>
    public async Task<(IReadOnlyList<Preference> Preferences, IReadOnlyList<Preference> Gold)> ReadAsync(
        string campaignId, DateTimeOffset? before, CancellationToken cancellation)
    {
        var campaign = await campaigns.FindAsync(campaignId, cancellation) ?? throw new InvalidInputException($"There is no campaign {campaignId}.");
        var pairs = await campaigns.FindPairsAsync(campaign, cancellation) ?? throw new InvalidInputException($"The pairs of campaign {campaignId} are not there yet.");
        var events = (await votes.ReadAllAsync(campaignId, cancellation)).Where(e => before is null || e.ReceivedAt < before);
        return (Preference.Of(campaign, pairs, CampaignVotes.Count(events, pairs)), Preference.Gold(campaign, pairs));
    }
}
