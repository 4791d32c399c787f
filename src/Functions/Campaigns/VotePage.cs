using System.Net;
using System.Security.Cryptography;
using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Campaigns;

/// <summary>The page on which annotators vote. It asks for everything by HTTP, so that it works as it is in every campaign.</summary>
internal static class VotePage
{
    private static readonly string Html = Resource("vote.html");
    private static readonly string Script = Resource("vote.js");

    /// <summary>Its own script, by its hash, may run and ask where the page came from; no other.</summary>
    public static string ContentSecurityPolicy { get; } =
        $"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Script)))}'; "
        + "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static byte[] Render(CampaignRequest campaign)
    {
        return Encoding.UTF8.GetBytes(Html
            .Replace("{style}", PageStyle.Css, StringComparison.Ordinal)
            .Replace("{script}", Script, StringComparison.Ordinal)
            .Replace("{guidelines}", WebUtility.HtmlEncode(campaign.Guidelines), StringComparison.Ordinal)); // last: a user's text is not searched
    }

    private static string Resource(string name)
    {
        using var stream = typeof(VotePage).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
