using System.Globalization;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>
/// Votes as the oracle of the sample dialogues would, which knows all that can be said in them: civil before rude, then well-formed
/// before broken; else a tie. A stated share of its votes is wrong.
/// </summary>
internal sealed class OracleVoter(RunClient client, CampaignRequest campaign, double errors)
{
    private const string Name = "oracle";
    private const int AtOnce = 10;

    /// <summary>Votes until there are so many votes, or nothing is left.</summary>
    public async Task VoteAsync(int votes, CancellationToken cancellation)
    {
        string address = $"/api/campaigns/{campaign.CampaignId}";
        while (true)
        {
            var next = await client.GetAsync<NextPairs>($"{address}/next?annotator={Name}&count={AtOnce}", cancellation);
            var pairs = next.Pairs.Take(votes - next.Votes).ToArray();
            if (pairs.Length == 0) return;
            var message = new VotesMessage { Annotator = Name, Votes = [.. pairs.Select(Vote)] };
            await client.PostAsync<JsonElement>($"{address}/votes", message, cancellation);
        }
    }

    private VoteMessage Vote(PairToJudge pair)
    {
        var row = new DialogueRow("", pair.Dialogue, "", "");
        int verdict = Quality(pair.First, row).CompareTo(Quality(pair.Second, row));
        ulong key = Seeds.Derive((ulong)campaign.Seed, "oracle", pair.Pair, pair.Round);
        if (Seeds.Uniform(key, 0) < errors) verdict = verdict != 0 ? -verdict : Seeds.Uniform(key, 1) < 0.5 ? 1 : -1;
        return new VoteMessage
        {
            Id = string.Create(CultureInfo.InvariantCulture, $"oracle-{pair.Pair}-{pair.Round}"),
            Pair = pair.Pair,
            Round = pair.Round,
            Choice = verdict > 0 ? ShownChoice.First : verdict < 0 ? ShownChoice.Second : ShownChoice.Tie,
        };
    }

    private static int Quality(string text, DialogueRow row)
    {
        return RudenessOracle.IsRude(text) ? 0 : RudenessOracle.IsWellFormed(text, row) ? 2 : 1;
    }
}
