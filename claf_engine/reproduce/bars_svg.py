"""A bar chart as SVG: a group of bars for each row, natural accuracy first, the paper's figure as a line across."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH_OF_BAR, GAP, LEFT, TOP, PLOT_HEIGHT, BOTTOM = 26, 30, 52, 78, 260, 52
LEGEND_WIDTH = 150
MOST_BESIDE = 12
"""Groups that stand beside each other; more stand in lines below each other, of at most `A_LINE`."""
A_LINE, WIDE_GAP = 7, 46
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.value { font-size: 10px; text-anchor: middle; }
.label { text-anchor: middle; }
.tick { text-anchor: end; fill: #59636e; font-size: 11px; }
.grid { stroke: #d1d9e0; }
.paper { stroke: #1f2328; stroke-width: 2; }
.background { fill: #ffffff; }
.bar0 { fill: #0072b2; } .bar1 { fill: #e69f00; } .bar2 { fill: #b4568c; } .bar3 { fill: #009e73; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .tick { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .paper { stroke: #e6edf3; }
  .background { fill: #0d1117; }
  .bar0 { fill: #56b4e9; } .bar1 { fill: #f0b93b; } .bar2 { fill: #cc79a7; } .bar3 { fill: #2fbf95; }
}
"""
"""Colours that people who see few of them can tell apart (Okabe and Ito), in a light and a dark theme."""
NUM_COLOURS = 4


@dataclass(frozen=True)
class Bar:
    """One figure of a row, as fractions in [0, 1]; None is not known."""

    title: str
    ours: float | None
    paper: float | None


@dataclass(frozen=True)
class Group:
    """The bars of one row."""

    label: str
    bars: tuple[Bar, ...]


def bar_chart(title: str, groups: Sequence[Group]) -> str:
    """Draw grouped bars.

    Args:
        title: above the chart.
        groups: every one with bars of the same titles.

    Returns:
        An SVG document without scripts or outside references.
    """
    titles = [bar.title for bar in groups[0].bars] if groups else []
    lines = _lines(groups)
    step = max(len(titles) * WIDTH_OF_BAR, 84) + (GAP if len(lines) == 1 else WIDE_GAP)
    width = max(LEFT + step * len(lines[0]) + GAP, LEFT + LEGEND_WIDTH * (len(titles) + 1))
    height = TOP + (PLOT_HEIGHT + BOTTOM) * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<style>{STYLE}</style>",
        f'<rect class="background" width="{width}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
        *_legend(titles, has_paper=any(bar.paper is not None for group in groups for bar in group.bars)),
    ]
    for number, line in enumerate(lines):
        drawn = _grid(width)
        for place, group in enumerate(line):
            drawn += _group(group, LEFT + GAP + place * step, step - GAP)
        below = number * (PLOT_HEIGHT + BOTTOM)
        parts += [f'<g transform="translate(0 {below})">', *drawn, "</g>"] if below else drawn
    return "\n".join([*parts, "</svg>\n"])


def _lines(groups: Sequence[Group]) -> list[Sequence[Group]]:
    """The groups line by line, all of about the same length; at least one line."""
    num_lines = 1 if len(groups) <= MOST_BESIDE else math.ceil(len(groups) / A_LINE)
    length = max(1, math.ceil(len(groups) / num_lines))
    return [groups[begin : begin + length] for begin in range(0, max(1, len(groups)), length)]


def _legend(titles: Sequence[str], *, has_paper: bool) -> list[str]:
    parts = []
    for number, title in enumerate(titles):
        x = LEFT + number * LEGEND_WIDTH
        parts.append(f'<rect class="bar{number % NUM_COLOURS}" x="{x}" y="38" width="12" height="12"/>')
        parts.append(f'<text x="{x + 18}" y="49">{escape(title)}</text>')
    if not has_paper:
        return parts
    x = LEFT + len(titles) * LEGEND_WIDTH
    parts.append(f'<line class="paper" x1="{x}" x2="{x + 14}" y1="44" y2="44"/><text x="{x + 20}" y="49">paper</text>')
    return parts


def _grid(width: int) -> list[str]:
    parts = []
    for value in (0, 25, 50, 75, 100):
        y = _height_of(value / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - GAP // 2}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4}">{value} %</text>')
    return parts


def _group(group: Group, x: int, width: int) -> list[str]:
    left = x + (width - len(group.bars) * WIDTH_OF_BAR) // 2
    label_y = TOP + PLOT_HEIGHT + 24
    parts = [f'<text class="label" x="{x + width // 2}" y="{label_y}">{escape(_shortened(group.label))}</text>']
    for number, bar in enumerate(group.bars):
        parts += _bar(bar, left + number * WIDTH_OF_BAR, number)
    return parts


def _bar(bar: Bar, x: int, number: int) -> list[str]:
    parts, base, width = [], _height_of(0), WIDTH_OF_BAR - 4
    if bar.ours is not None:
        y = _height_of(bar.ours)
        shown = f"{100 * bar.ours:.1f}"
        hint = f"<title>{escape(bar.title)}: {shown} %</title>"
        style = f"bar{number % NUM_COLOURS}"
        parts.append(f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{base - y:g}">{hint}</rect>')
        parts.append(f'<text class="value" x="{x + width // 2}" y="{y - 4}">{shown}</text>')
    if bar.paper is not None:
        y = _height_of(bar.paper)
        parts.append(f'<line class="paper" x1="{x - 1}" x2="{x + width + 1}" y1="{y}" y2="{y}"/>')
    return parts


def _height_of(fraction: float) -> float:
    return round(TOP + PLOT_HEIGHT * (1 - min(1.0, max(0.0, fraction))), 1)


def _shortened(label: str) -> str:
    return label if len(label) <= 22 else f"{label[:21]}…"
