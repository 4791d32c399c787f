namespace RlhfFunctions.Reports;

/// <summary>The report page's looks: one column on a phone, light or dark as the reader's system is.</summary>
internal static class ReportStyle
{
    public static readonly Html Css = $$"""
        :root { color-scheme: light dark; --text: #1b1f24; --muted: #57606a; --back: #fff; --card: #f6f8fa; --rule: #d0d7de;
          --line: #0a5cc2; --good: #116329; --bad: #a40e26; --notice: #fff4d6; }
        @media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --muted: #9da7b3; --back: #0d1117; --card: #161b22; --rule: #3d444d;
          --line: #6cb0ff; --good: #56d364; --bad: #ff7b72; --notice: #3a2f0b; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1rem; max-width: 78rem; background: var(--back); color: var(--text);
          font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; overflow-wrap: anywhere; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; margin: 0 0 .5rem; }
        p { max-width: 46rem; } .muted, .unit, .note { color: var(--muted); } .unit { font-weight: normal; }
        .skip { position: absolute; left: -999rem; } .skip:focus { left: 1rem; top: .5rem; padding: .5rem 1rem; background: var(--back); z-index: 1; }
        :focus-visible { outline: 3px solid var(--line); outline-offset: 2px; border-radius: 3px; }
        .verdict { font-size: 1.15rem; } .verdict strong { font-size: 1.5rem; }
        .notice { background: var(--notice); border-left: 4px solid var(--bad); padding: .7rem 1rem; }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; font-weight: normal; }
        thead th { color: var(--muted); } .scroll { overflow-x: auto; } figure .scroll { max-height: 16rem; overflow-y: auto; }
        .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
        figure, .card { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; min-width: 0; }
        figcaption { font-weight: 600; } svg { display: block; width: 100%; height: auto; }
        svg text { fill: var(--muted); font: 12px system-ui, sans-serif; } .x { text-anchor: middle; } .y { text-anchor: end; }
        .grid { stroke: var(--rule); } polyline { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round; } circle { fill: var(--line); }
        summary { cursor: pointer; padding: .25rem 0; } figure summary { font-size: .9rem; color: var(--muted); }
        .cards { display: grid; gap: 1rem; } .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
        .pair > div { background: var(--back); border: 1px solid var(--rule); border-radius: 6px; padding: .6rem .8rem; min-width: 0; }
        .pair p, .card p { margin: .2rem 0; } .hate { float: right; } .high { color: var(--bad); } .low { color: var(--good); }
        .dialogue { white-space: pre-wrap; border-left: 3px solid var(--rule); padding-left: .8rem; margin: .3rem 0; }
        .empty { font-style: italic; color: var(--muted); } footer { margin-top: 2.5rem; border-top: 1px solid var(--rule); font-size: .9rem; }
        @media (max-width: 40rem) { .pair { grid-template-columns: 1fr; }
          .stack thead { position: absolute; left: -999rem; } .stack tr { display: block; padding: .45rem 0; border-bottom: 1px solid var(--rule); }
          .stack th, .stack td { display: block; border: 0; padding: 0; } .stack th { font-weight: 600; }
          .stack td::before { content: attr(data-label) ": "; color: var(--muted); } .stack td:empty { display: none; } }

        """;
}
