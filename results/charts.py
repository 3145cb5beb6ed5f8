"""Curves and points as SVG, in the manner of `claf_engine/reproduce/bars_svg.py`, whose style they share."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from claf_engine.reproduce.bars_svg import STYLE

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 64, 186, 58, 56
LINE_HEIGHT = 17
"""Between the labels of two curves, at least."""
MOST_TICKS = 8
DASHES = ("none", "7 4", "2 4", "10 4 2 4")
HUES = (
    ("#0072b2", "#56b4e9"),
    ("#c26f00", "#f0b93b"),
    ("#00805e", "#2fbf95"),
    ("#b4568c", "#e39ac6"),
    ("#b34700", "#ff8a4c"),
    ("#57606a", "#b1bac4"),
)
"""After Okabe and Ito, for a light and a dark ground; further curves begin again with other dashes."""


def _style() -> str:
    light = "".join(_hue(number, hues[0]) for number, hues in enumerate(HUES))
    dark = "".join(_hue(number, hues[1]) for number, hues in enumerate(HUES))
    return (
        f"{STYLE}.curve {{ fill: none; stroke-width: 2.25; stroke-linejoin: round; }}\n"
        ".whisker { stroke-width: 1.5; } .lead { stroke-width: 1; opacity: 0.5; }\n"
        ".axis { fill: #59636e; font-size: 12px; } .end { text-anchor: middle; }\n"
        ".frontier { fill: none; stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 5 4; }\n"
        f"{light}\n@media (prefers-color-scheme: dark) {{ .axis {{ fill: #9198a1; }} "
        f".frontier {{ stroke: #9198a1; }}\n{dark} }}\n"
    )


def _hue(number: int, colour: str) -> str:
    return f".hue{number} {{ stroke: {colour}; }} .dot{number} {{ fill: {colour}; }} "


@dataclass(frozen=True)
class Series:
    """One curve: its name, and points (x, share in [0, 1])."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Mark:
    """One point of a scatter chart: a cost, and a share in [0, 1] with its interval."""

    label: str
    cost: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Frame:
    """The mapping of values to places, and what is written around it.

    Attributes:
        across: what the horizontal axis counts, in whole numbers from `left` to `right`.
        upward: what the vertical one does, in percent from 0 to the share `top`.
    """

    title: str
    across: str
    upward: str
    left: float
    right: float
    top: float

    def x(self, value: float) -> float:
        """The place of a value on the horizontal axis."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - self.left) / (self.right - self.left), 1)

    def y(self, share: float) -> float:
        """The height of a share."""
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share / self.top), 1)


def line_chart(title: str, across: str, upward: str, series: Sequence[Series]) -> str:
    """Draw a curve for each series, with its name at its end.

    Args:
        title: above the chart.
        across: what the horizontal axis counts.
        upward: what the vertical one does, in percent.
        series: with a point each at least; values across are 0 or more.

    Returns:
        An SVG document without scripts or outside references.
    """
    right = max((x for each in series for x, _ in each.points), default=0) or 1
    frame = Frame(title, across, upward, 0, right, _top(share for each in series for _, share in each.points))
    ends = spread([frame.y(each.points[-1][1]) for each in series])
    parts = []
    for number, each in enumerate(series):
        hue, dash = number % len(HUES), DASHES[number // len(HUES) % len(DASHES)]
        places = [(frame.x(x), frame.y(share)) for x, share in each.points]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline class="curve hue{hue}" stroke-dasharray="{dash}" points="{path}"/>')
        for (x, y), (value, share) in zip(places, each.points, strict=True):
            hint = f"<title>{escape(each.label)}, {value:g}: {100 * share:.1f} %</title>"
            parts.append(f'<circle class="dot{hue}" cx="{x}" cy="{y}" r="3.2">{hint}</circle>')
        parts += _label(each.label, places[-1], ends[number], hue)
    return _document(frame, parts)


def scatter_chart(title: str, across: str, upward: str, marks: Sequence[Mark]) -> str:
    """Draw a point with its interval for each mark, and the frontier of those that no cheaper one reaches.

    Args:
        title: above the chart.
        across: what costs are counted in.
        upward: what shares are of.
        marks: one at least.

    Returns:
        An SVG document without scripts or outside references.
    """
    frame = Frame(title, across, upward, *_around([mark.cost for mark in marks]), _top(mark.high for mark in marks))
    ends = spread([frame.y(mark.share) for mark in marks])
    best = [(frame.x(mark.cost), frame.y(mark.share)) for mark in frontier(marks)]
    parts = []
    if best:
        corners = "".join(f" H {x} V {y}" for x, y in best[1:])
        parts.append(f'<path class="frontier" d="M {best[0][0]} {best[0][1]}{corners} H {frame.x(frame.right)}"/>')
    for number, mark in enumerate(marks):
        hue, x, y = number % len(HUES), frame.x(mark.cost), frame.y(mark.share)
        low, high = frame.y(mark.low), frame.y(mark.high)
        hint = f"<title>{escape(mark.label)}: {100 * mark.share:.1f} % for {mark.cost:g}</title>"
        parts.append(f'<line class="whisker hue{hue}" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        parts.append(f'<circle class="dot{hue}" cx="{x}" cy="{y}" r="5">{hint}</circle>')
        parts += _label(mark.label, (x, y), ends[number], hue)
    return _document(frame, parts)


def frontier(marks: Sequence[Mark]) -> list[Mark]:
    """The marks that are better than all that cost no more, the cheapest first."""
    found: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.cost, -mark.share, mark.label)):
        if not found or mark.share > found[-1].share:
            found.append(mark)
    return found


def spread(heights: Sequence[float]) -> list[float]:
    """Heights of labels as near to those wished for as their order and `LINE_HEIGHT` allow, within the chart."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = [0.0] * len(heights)
    above = -math.inf
    for index in order:
        above = placed[index] = max(heights[index], above + LINE_HEIGHT)
    below: float = HEIGHT - BOTTOM + LINE_HEIGHT
    for index in reversed(order):
        below = placed[index] = round(min(placed[index], below - LINE_HEIGHT), 1)
    return placed


def ticks(left: float, right: float) -> list[int]:
    """Round whole numbers within a range, `MOST_TICKS` or one more of them at most."""
    step = _step(right - left)
    return list(range(math.ceil(left / step) * step, math.floor(right) + 1, step))


def _step(span: float) -> int:
    power: int = 10 ** max(0, math.floor(math.log10(span / MOST_TICKS)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * MOST_TICKS >= span)


def _around(costs: Sequence[float]) -> tuple[float, float]:
    """Round ends of an axis for costs: from 0, or close to them where they all lie far from it."""
    least, most = min(costs), max(costs)
    left = 0.0 if least < most / 2 else least - 0.25 * (most - least) - 1
    right = most + 0.1 * (most - left) + 1
    step = _step(right - left)
    return step * math.floor(left / step), step * math.ceil(right / step)


def _top(shares: Iterable[float]) -> float:
    """The largest share, up to the next tenth."""
    return min(1.0, max(0.1, math.ceil(10 * max(shares, default=1) - 1e-9) / 10))


def _label(text: str, place: tuple[float, float], height: float, hue: int) -> list[str]:
    """A name at the right edge, and a thin line that leads to it."""
    x, y = place
    edge = WIDTH - RIGHT + 14
    lead = f'<line class="lead hue{hue}" x1="{x + 5:g}" x2="{edge}" y1="{y}" y2="{height}"/>'
    return [lead, f'<text x="{edge + 6}" y="{height + 4:g}">{escape(text[:24])}</text>']


def _document(frame: Frame, parts: Sequence[str]) -> str:
    about = escape(frame.title, {'"': "&quot;"})
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{about}">',
        f"<style>{_style()}</style>",
        f'<rect class="background" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(frame.title)}</text>',
        f'<text class="axis" x="{LEFT}" y="44">{escape(frame.upward)}</text>',
    ]
    return "\n".join([*head, *_grid(frame), *parts, "</svg>\n"])


def _grid(frame: Frame) -> list[str]:
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tenth in itertools.takewhile(lambda tenth: tenth <= 10 * frame.top + 1e-9, range(11)):
        y = frame.y(tenth / 10)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:g}">{10 * tenth} %</text>')
    for value in ticks(frame.left, frame.right):
        x = frame.x(value)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{base}" y2="{base + 5}"/>')
        parts.append(f'<text class="axis end" x="{x}" y="{base + 20}">{value:,}</text>')
    middle = (LEFT + right) // 2
    across = f"{frame.across}; the axis begins at {frame.left:,.0f}" if frame.left else frame.across
    return [*parts, f'<text class="axis end" x="{middle}" y="{HEIGHT - 12}">{escape(across)}</text>']
