/** Colours that people with any colour vision tell apart, once for light and once for dark surroundings. */
export const CHART_STYLE = `
  :root { --bg: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #e4e8ec; --outage: #f3e3c2;
    --blue: #0969da; --fill: #cfe2fa; --deep: #0a3069; --orange: #bc4c00; --red: #cf222e; --purple: #8250df; }
  @media (prefers-color-scheme: dark) {
    :root { --bg: #0d1117; --ink: #e6edf3; --soft: #9198a1; --grid: #262c34; --outage: #3d3013;
      --blue: #4493f8; --fill: #12315c; --deep: #a5d0ff; --orange: #f0883e; --red: #ff6b63; --purple: #ab7df8; }
  }
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--soft);
    paint-order: stroke; stroke: var(--bg); stroke-width: 3px; stroke-linejoin: round; }
  .bg { fill: var(--bg); } .title { font-size: 16px; font-weight: 600; fill: var(--ink); }
  .panel { font-weight: 600; fill: var(--ink); } .end { text-anchor: end; } .middle { text-anchor: middle; }
  .grid { stroke: var(--grid); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
  .outage { fill: var(--outage); } .loss { stroke: var(--orange); stroke-width: 1; stroke-dasharray: 2 3; }
  .restart { stroke: var(--purple); stroke-width: 1; stroke-dasharray: 2 3; }
  .mark-loss { fill: var(--orange); } .mark-restart { fill: var(--purple); }
  .area { fill: var(--fill); } .line { fill: none; stroke: var(--blue); stroke-width: 1.5; }
  .bold { fill: none; stroke: var(--deep); stroke-width: 1.5; } .limit { stroke: var(--red); stroke-width: 1; stroke-dasharray: 6 3; }
  .bar { fill: var(--blue); } .bar-loss { fill: var(--orange); } .bar-gap { fill: var(--red); }
`;
