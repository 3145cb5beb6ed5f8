"""The style sheet of a report: light and dark, on paper, and no reference to anything outside."""

from claf_tui.words.run_colors import LIGHT_RUN_COLORS, RUN_COLORS

RULES = """
:root { color-scheme: light dark; --ground: #ffffff; --card: #f6f8fa; --text: #1f2328; --dim: #59636e;
  --edge: #d1d9e0; --good: #116329; --doubt: #7d5600; --bad: #b3261e; --live: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --card: #161b22; --text: #e6edf3; --dim: #9198a1;
  --edge: #30363d; --good: #4cc38a; --doubt: #f2c14e; --bad: #ff8b81; --live: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-bottom: .3rem; border-bottom: 1px solid var(--edge); }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .3rem 0; } small, .note { color: var(--dim); font-size: .85rem; } .note { margin: .15rem 0; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.1rem 0; }
.tile { background: var(--card); border: 1px solid var(--edge); border-radius: 8px;
  padding: .6rem .9rem; min-width: 9rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: .82rem; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: .3rem 0 .6rem; }
th { text-align: left; font-weight: 600; color: var(--dim); border-bottom: 1px solid var(--edge); }
th, td { padding: .25rem .9rem .25rem 0; vertical-align: top; } td { border-bottom: 1px solid var(--edge); }
td { overflow-wrap: break-word; max-width: 26rem; }
tr:last-child td { border-bottom: 0; }
.facts th { border: 0; padding-right: 1.2rem; white-space: nowrap; font-weight: 400; }
.facts td { border: 0; max-width: none; }
.facts tr > * { padding-top: .1rem; padding-bottom: .1rem; }
.strong { font-weight: 600; } .dim { color: var(--dim); } .good { color: var(--good); } .doubt { color: var(--doubt); }
.bad { color: var(--bad); } .live { color: var(--live); }
.warning { border-left: 3px solid var(--doubt); padding: .1rem .8rem; margin: .5rem 0; }
.chart { width: 100%; height: auto; display: block; overflow: visible; }
.chart text { font: 11px system-ui, sans-serif; fill: var(--dim); } .chart .tag { font-weight: 700; }
.chart .middle { text-anchor: middle; } .chart .end { text-anchor: end; }
.grid { stroke: var(--edge); } .axis { stroke: var(--dim); }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.range { opacity: .16; } .mark { stroke: var(--edge); stroke-dasharray: 2 3; }
.chart text.alert { fill: var(--bad); } .chart text.best { fill: var(--doubt); } .chart text.edit { fill: var(--text); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; font-size: .85rem; margin: .1rem 0 .5rem 52px; }
.sample { width: 26px; height: 10px; vertical-align: middle; } .sample .line { stroke-width: 2.4; }
.axes > input { position: absolute; opacity: 0; pointer-events: none; }
.axes > label { display: inline-block; padding: .15rem .7rem; border: 1px solid var(--edge); border-radius: 999px;
  margin-right: .35rem; font-size: .85rem; cursor: pointer; color: var(--dim); }
.axes > input:focus-visible + label { outline: 2px solid var(--live); }
.axes > input:checked + label { background: var(--card); color: var(--text);
  border-color: var(--dim); font-weight: 600; }
.axes > .view { display: none; margin-top: .6rem; }
.examples { display: flex; flex-wrap: wrap; gap: .8rem .9rem; }
.example { width: 74px; font-size: .8rem; } .example > div { min-height: 1.5rem; margin-bottom: .3rem; }
.example small { display: block; line-height: 1.2; overflow-wrap: anywhere; }
.example.heads { width: 6rem; } .example.heads > div + div { height: 102px; }
.example:not(.heads) > div + div { height: 102px; }
.pixels { width: 72px; height: 72px; object-fit: contain; image-rendering: pixelated;
  border-radius: 4px; display: block; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--dim); }
.when { white-space: nowrap; }
footer { margin-top: 3rem; color: var(--dim); font-size: .82rem; }
@media print { :root { color-scheme: light; --ground: #fff; --card: #fff; --text: #000; --dim: #444; --edge: #bbb;
  --good: #116329; --doubt: #7d5600; --bad: #b3261e; } body { max-width: none; padding: 0; font-size: 11pt; }
  h2, h3 { break-after: avoid; } .figure, .tile, .example, .examples, tr { break-inside: avoid; }
  .examples { break-before: avoid; gap: .5rem; } .axes > input, .axes > label { display: none; }
  .example, .pixels { width: 62px; } .example.heads { width: 5rem; } .pixels { height: 62px; }
  .chart { width: 86%; } .scroll { overflow: visible; } table { font-size: .72rem; }
  th, td { padding-right: .6rem; } h2 + .note, h3 + .note { break-after: avoid; } }
"""
NUM_AXES = 4


def style_sheet() -> str:
    """All rules, with the colours of runs on light and dark ground, and those that show the chosen axis."""
    axes = "".join(
        f".axes > input:nth-of-type({number}):checked ~ .view:nth-of-type({number}) {{ display: block; }}\n"
        for number in range(1, NUM_AXES + 1)
    )
    dark = f"@media screen and (prefers-color-scheme: dark) {{ {_colours(RUN_COLORS)} }}\n"
    return f"{RULES}{axes}{_colours(LIGHT_RUN_COLORS)}{dark}"


def _colours(colours: tuple[str, ...]) -> str:
    return "".join(
        f".stroke{number} {{ stroke: {colour}; }} .fill{number} {{ fill: {colour}; }} "
        f".chart .text{number} {{ fill: {colour}; }} .run{number} {{ color: {colour}; font-weight: 700; }}\n"
        for number, colour in enumerate(colours)
    )
