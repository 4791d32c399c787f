namespace RlhfFunctions.Reports;

/// <summary>The pages' looks: one column on a phone, light or dark as the reader's system is.</summary>
internal static class PageStyle
{
    public const string Css = """
        :root { color-scheme: light dark; --text: #1b1f24; --muted: #57606a; --back: #fff; --card: #f6f8fa; --rule: #d0d7de;
          --line: #0a5cc2; --good: #116329; --bad: #a40e26; --notice: #fff4d6; --mark: #8a5a00;
          --line1: #b3400f; --line2: #116b5b; --line3: #7d3ac1; --line4: #a3195b; --line5: #5c5f00; }
        @media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --muted: #9da7b3; --back: #0d1117; --card: #161b22; --rule: #3d444d;
          --line: #6cb0ff; --good: #56d364; --bad: #ff7b72; --notice: #3a2f0b; --mark: #e3b341;
          --line1: #ffa657; --line2: #4fd1b5; --line3: #c9a2ff; --line4: #ff8fc0; --line5: #d6d94a; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1rem; max-width: 78rem; background: var(--back); color: var(--text);
          font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; overflow-wrap: anywhere; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; margin: 0 0 .5rem; }
        a { color: var(--line); } nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 0; padding: 0 0 .6rem; border-bottom: 1px solid var(--rule); }
        nav a { display: inline-block; padding: .3rem 0; }
        p { max-width: 46rem; } .muted, .unit, .note { color: var(--muted); } .unit { font-weight: normal; }
        .skip { position: absolute; left: -999rem; } .skip:focus { left: 1rem; top: .5rem; padding: .5rem 1rem; background: var(--back); z-index: 1; }
        :focus-visible { outline: 3px solid var(--line); outline-offset: 2px; border-radius: 3px; }
        .verdict { font-size: 1.15rem; } .verdict strong { font-size: 1.5rem; }
        .notice { background: var(--notice); border-left: 4px solid var(--bad); padding: .7rem 1rem; }
        .state { display: inline-block; padding: 0 .6rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .85rem; font-weight: 600; white-space: nowrap; color: var(--muted); vertical-align: middle; }
        .state.running { color: var(--line); } .state.completed { color: var(--good); } .state.failed, .state.terminated { color: var(--bad); }
        progress { width: 100%; height: .9rem; accent-color: var(--line); display: block; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem; margin: 1rem 0; }
        .tiles div { padding: .6rem .8rem; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; min-width: 0; display: flex; flex-direction: column; }
        .tiles dt { color: var(--muted); font-size: .85rem; } .tiles dd { margin: auto 0 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
        button { font: inherit; padding: .45rem 1.1rem; color: var(--back); background: var(--line); border: 0; border-radius: 6px; cursor: pointer; }
        .pick { display: inline-flex; align-items: center; gap: .5rem; } input[type=checkbox] { width: 1.15rem; height: 1.15rem; margin: 0; accent-color: var(--line); }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; font-weight: normal; }
        thead th { color: var(--muted); } .scroll { overflow-x: auto; } figure .scroll { max-height: 16rem; overflow-y: auto; } .wide { width: 100%; }
        .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
        figure, .card { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; min-width: 0; }
        figcaption { font-weight: 600; } figure > svg { display: block; width: 100%; height: auto; }
        svg text { fill: var(--muted); font: 12px system-ui, sans-serif; } .x { text-anchor: middle; } .y { text-anchor: end; }
        .grid { stroke: var(--rule); } .mark { stroke: var(--mark); stroke-dasharray: 5 4; } polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .line0 { stroke: var(--line); } circle.line0 { fill: var(--line); } .line1 { stroke: var(--line1); stroke-dasharray: 7 3; } circle.line1 { fill: var(--line1); }
        .line2 { stroke: var(--line2); stroke-dasharray: 2 2; } circle.line2 { fill: var(--line2); } .line3 { stroke: var(--line3); stroke-dasharray: 9 3 2 3; } circle.line3 { fill: var(--line3); }
        .line4 { stroke: var(--line4); stroke-dasharray: 4 4; } circle.line4 { fill: var(--line4); } .line5 { stroke: var(--line5); stroke-dasharray: 12 4; } circle.line5 { fill: var(--line5); }
        .legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; list-style: none; margin: .2rem 0; padding: 0; font-size: .85rem; } .key { width: 28px; height: 8px; } .key line { stroke-width: 3; }
        summary { cursor: pointer; padding: .25rem 0; } figure summary { font-size: .9rem; color: var(--muted); }
        .cards { display: grid; gap: 1rem; } .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
        .pair > div { background: var(--back); border: 1px solid var(--rule); border-radius: 6px; padding: .6rem .8rem; min-width: 0; }
        .pair p, .card p { margin: .2rem 0; } .judged { float: right; } .judged.bad { color: var(--bad); } .judged.good { color: var(--good); }
        .dialogue { white-space: pre-wrap; border-left: 3px solid var(--rule); padding-left: .8rem; margin: .3rem 0; }
        .empty { font-style: italic; color: var(--muted); } footer { margin-top: 2.5rem; border-top: 1px solid var(--rule); font-size: .9rem; }
        @media (max-width: 40rem) { .pair { grid-template-columns: 1fr; }
          .stack thead { position: absolute; left: -999rem; } .stack tr { display: block; padding: .45rem 0; border-bottom: 1px solid var(--rule); }
          .stack th, .stack td { display: block; border: 0; padding: 0; } .stack th { font-weight: 600; }
          .stack td::before { content: attr(data-label) ": "; color: var(--muted); } .stack td:empty, .stack td[data-label=""]::before { display: none; } }
        @media (prefers-reduced-motion: no-preference) { progress::-webkit-progress-value { transition: width .4s; } }
        """;
}
