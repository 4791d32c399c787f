using System.Globalization;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Serving;

/// <summary>What people must have said before an adapter serves whose run asks for it (evaluation.minHumanWinRate).</summary>
public sealed class HumanJudgement(CampaignRecords campaigns, CampaignVotes votes)
{
    /// <summary>Of fewer votes that prefer one of the two an interval says little, however one-sided they are.</summary>
    public const int FewestVotes = 30;

    /// <summary>
    /// The rule: the campaign compares the run with what serves now, or with its base model while nothing does; at least
    /// <see cref="FewestVotes"/> votes prefer one of the two; and the lower end of the run's win rate is at least what it asks for.
    /// </summary>
    /// <param name="request">The run's.</param>
    /// <param name="serving">The run whose adapter serves; null: none does.</param>
    /// <param name="campaignId">The campaign; null: none was named.</param>
    /// <param name="cancellation">Stops between annotators.</param>
    /// <returns>What was said; null where the run does not ask for it.</returns>
    /// <exception cref="InvalidInputException">It may not serve yet; says why and what to do.</exception>
    public async Task<string?> RequireAsync(RunRequest request, string? serving, string? campaignId, CancellationToken cancellation)
    {
        if (request.Evaluation.MinHumanWinRate is not { } least) return null;
        string[] runs = serving is null ? [request.RunId!] : [request.RunId!, serving];
        string rival = serving is null ? "its base model" : $"run {serving}, which serves";
        string wanted = $"Run {request.RunId} serves only where people prefer it to {rival} (evaluation.minHumanWinRate = {least.ToString(CultureInfo.InvariantCulture)}).";
        if (campaignId is null) throw new InvalidInputException($"{wanted} Name the campaign in which they did: ?campaign=ID. POST /api/campaigns begins one, with runs {Json(runs)}.");
        if (await campaigns.FindAsync(campaignId, cancellation) is not { } campaign) throw new InvalidInputException($"There is no campaign {campaignId}.");
        if (!campaign.Runs.ToHashSet().SetEquals(runs) || (serving is null && campaign.Model.Source != request.Model.Source))
            throw new InvalidInputException($"{wanted} Campaign {campaignId} compares something else: begin one with the run's model and with runs {Json(runs)}.");

        var pairs = await campaigns.FindPairsAsync(campaign, cancellation) ?? [];
        var said = pairs.Count == 0 ? null : VoteCounts.Of(CampaignVotes.Count(await votes.ReadAllAsync(campaignId, cancellation), pairs), (ulong)campaign.Seed)
            .WinRates.FirstOrDefault(rate => rate.Policy == request.RunId);
        if (said is null || said.Decided < FewestVotes)
            throw new InvalidInputException($"{wanted} In campaign {campaignId} {said?.Decided ?? 0} votes prefer one of the two, and at least {FewestVotes} are needed. Collect more.");
        string share = string.Create(CultureInfo.InvariantCulture, $"{100 * said.Mean:F0} % ({100 * said.Low:F0} – {100 * said.High:F0}) of {said.Decided} votes of campaign {campaignId}");
        return said.Low >= least
            ? $"It was preferred in {share}."
            : throw new InvalidInputException($"{wanted} It was preferred in {share}, and the lower end must reach it. Collect more votes, or let the other one serve on.");
    }

    private static string Json(string[] runs)
    {
        return $"[{string.Join(", ", runs.Select(run => $"\"{run}\""))}]";
    }
}
