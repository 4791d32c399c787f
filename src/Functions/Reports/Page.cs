using System.Security.Cryptography;
using System.Text;

namespace RlhfFunctions.Reports;

/// <summary>What all pages have in common: they need nothing but themselves, and say so in a policy that the browser enforces.</summary>
internal static class Page
{
    /// <summary>
    /// The only script there is: a page of something under way fetches itself now and then and exchanges the parts that changed, so
    /// that nothing flickers, what is open stays open and the focus stays where it is. It is written without the characters that
    /// HTML would want escaped.
    /// </summary>
    private const string RefreshScript = """
        (() => {
          const wait = Number(document.querySelector('main').dataset.refresh);
          const exchange = (part, fresh) => {
            if (!fresh) return;
            for (const open of part.querySelectorAll('details[open]')) { const same = fresh.querySelector('#' + open.id); if (same) same.open = true; }
            if (part.innerHTML === fresh.innerHTML) return;
            const focus = part.contains(document.activeElement) ? document.activeElement.id : null;
            part.replaceChildren(...fresh.childNodes);
            if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
          };
          const refresh = async () => {
            try {
              const answer = document.hidden ? null : await fetch(location.href);
              if (answer?.ok) {
                const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
                if (!page.querySelector('main[data-refresh]')) return location.reload();
                for (const part of document.querySelectorAll('[data-part]')) exchange(part, page.querySelector('[data-part=' + part.dataset.part + ']'));
              }
            } catch { }
            setTimeout(refresh, wait);
          };
          setTimeout(refresh, wait);
        })();
        """;

    private static readonly string Style = $"\n{PageStyle.Css}\n";
    private static readonly string Script = $"\n{RefreshScript}\n";

    /// <summary>As an HTTP header it may replace a stricter one: nothing is loaded, and only what stands in the page itself applies.</summary>
    public static string ContentSecurityPolicy { get; } =
        $"default-src 'none'; style-src '{Hash(Style)}'; script-src '{Hash(Script)}'; connect-src 'self'; form-action 'self'; base-uri 'none'";

    /// <param name="title">Of the window.</param>
    /// <param name="links">The way back to the list; null: this is the list, or lies by itself as a file.</param>
    /// <param name="skip">Where the skip link leads: an id and what is there.</param>
    /// <param name="header">From the heading of the first level on.</param>
    /// <param name="main">What the page is about.</param>
    /// <param name="refreshSeconds">After how long it asks for itself again; null: it stays as it is.</param>
    /// <returns>UTF-8; equal arguments give equal bytes.</returns>
    public static byte[] Render(string title, PageLinks? links, (string Id, string What) skip, Html header, Html main, int? refreshSeconds = null)
    {
        Html page = $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta http-equiv="Content-Security-Policy" content="{Html.Raw(ContentSecurityPolicy)}"/>
            <meta name="referrer" content="no-referrer"/>
            <title>{title}</title>
            <style>{Html.Raw(Style)}</style>
            </head>
            <body>
            <a class="skip" href="#{skip.Id}">Skip to {skip.What}</a>
            {Navigation(links)}<header>
            {header}</header>
            {Body(main, refreshSeconds)}</body>
            </html>

            """;
        return Encoding.UTF8.GetBytes(page.ToString());
    }

    private static Html Body(Html main, int? refreshSeconds)
    {
        return refreshSeconds is not { } seconds
            ? (Html)$"<main>\n{main}</main>\n"
            : $"""
            <main data-refresh="{1000 * seconds}">
            {main}</main>
            <noscript><p class="note">Load this page again to see how it goes on.</p></noscript>
            <script>{Html.Raw(Script)}</script>

            """;
    }

    private static Html Navigation(PageLinks? links)
    {
        return links is null ? Html.None : $"""
            <nav aria-label="Pages"><ul><li><a href="{links.Runs}">All runs</a></li></ul></nav>

            """;
    }

    private static string Hash(string text)
    {
        return $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";
    }
}
