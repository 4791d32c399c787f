using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>A match of two players.</summary>
/// <param name="Cluster">Matches of one cluster (a prompt) resemble each other.</param>
/// <param name="First">A player.</param>
/// <param name="Second">Another one.</param>
/// <param name="FirstWins">1, 0, or ½ for a tie.</param>
public sealed record Match(string Cluster, string First, string Second, double FirstWins);

/// <summary>
/// Bradley–Terry scores with ties after Rao and Kupper (1967): P(i beats j) = γ_i / (γ_i + θ γ_j), θ ≥ 1, and a tie is the rest.
/// Fitted by Hunter's minorisation–maximisation ("MM algorithms for generalized Bradley–Terry models", 2004, §3).
/// </summary>
public static class BradleyTerry
{
    private const int MaxIterations = 5000;
    private const double Tolerance = 1e-10;

    /// <summary>log γ of every player, mean zero, and θ.</summary>
    /// <param name="matches">At least one.</param>
    /// <param name="prior">Wins each player is lent against each other, so that nobody's score runs away; 0: the plain maximum of the likelihood.</param>
    public static (IReadOnlyDictionary<string, double> Scores, double Theta) Fit(IReadOnlyCollection<Match> matches, double prior = 0)
    {
        var players = matches.SelectMany(m => new[] { m.First, m.Second }).Distinct().Order(StringComparer.Ordinal).ToArray();
        var place = players.Index().ToDictionary(p => p.Item, p => p.Index);
        var n = players.Length;
        var notLost = new double[n, n]; // s_ij: wins of i over j, and ties
        var ties = 0.0;
        foreach (var match in matches)
        {
            var (i, j) = (place[match.First], place[match.Second]);
            if (match.FirstWins > 0)
                notLost[i, j]++;
            if (match.FirstWins < 1)
                notLost[j, i]++;
            ties += match.FirstWins is > 0 and < 1 ? 1 : 0;
        }
        for (var i = 0; i < n; i++)
            for (var j = 0; j < n; j++)
                notLost[i, j] += i == j ? 0 : prior;

        var gamma = Enumerable.Repeat(1.0, n).ToArray();
        var theta = ties > 0 ? 2.0 : 1;
        for (var iteration = 0; iteration < MaxIterations; iteration++)
        {
            var next = new double[n];
            for (var i = 0; i < n; i++)
            {
                var (wins, weight) = (0.0, 0.0);
                for (var j = 0; j < n; j++)
                {
                    wins += notLost[i, j];
                    weight += (notLost[i, j] / (gamma[i] + (theta * gamma[j]))) + (theta * notLost[j, i] / ((theta * gamma[i]) + gamma[j]));
                }
                next[i] = weight > 0 ? wins / weight : 1;
            }
            var mean = Math.Exp(next.Average(g => Math.Log(Math.Max(g, 1e-300))));
            for (var i = 0; i < n; i++)
                next[i] = Math.Max(next[i] / mean, 1e-300);
            var change = next.Zip(gamma, (a, b) => Math.Abs(Math.Log(a / b))).Max();
            gamma = next;
            if (ties > 0)
            {
                var c = 0.0;
                for (var i = 0; i < n; i++)
                    for (var j = 0; j < n; j++)
                        c += gamma[j] * notLost[i, j] / (gamma[i] + (theta * gamma[j]));
                c /= ties;
                var better = (1 / c) + Math.Sqrt(1 + (1 / (c * c))); // where 2θ / (θ² − 1) = c
                change = Math.Max(change, Math.Abs(better - theta));
                theta = better;
            }
            if (change < Tolerance)
                break;
        }
        return (players.Zip(gamma).ToDictionary(p => p.First, p => Math.Log(p.Second)), theta);
    }

    /// <summary>Scores with 95 % intervals from drawing whole clusters; sorted, best first.</summary>
    public static IReadOnlyList<PolicyScore> Rank(IReadOnlyList<Match> matches, ulong seed, double prior = 0.5, int resamples = 500)
    {
        if (matches.Count == 0)
            return [];
        var clusters = matches.GroupBy(match => match.Cluster).Select(group => group.ToArray()).ToArray();
        var draws = Enumerable.Range(0, resamples)
            .Select(i => Fit([.. clusters.Index().SelectMany(c =>
                clusters[(int)(Seeds.Uniform(seed, ((long)i * clusters.Length) + c.Index) * clusters.Length)])], prior).Scores).ToArray();
        return [.. Fit(matches, prior).Scores.OrderByDescending(score => score.Value).Select(score =>
        {
            // A player whose matches were not drawn has no score in that draw.
            var sorted = draws.Where(draw => draw.ContainsKey(score.Key)).Select(draw => draw[score.Key]).Order().ToArray();
            return new PolicyScore(score.Key, score.Value, Bootstrap.Quantile(sorted, 0.025), Bootstrap.Quantile(sorted, 0.975));
        })];
    }
}
