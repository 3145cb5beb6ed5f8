"""How a verdict looks: glyph, word and colour, and an accuracy with its interval as a bar. Pure functions."""

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from textual.content import Content

from claf_tui.words import figures
from claf_tui.words.safe_text import safe

DIM = "$foreground 60%"
GLYPHS: dict[str, tuple[str, str]] = {
    "passes": ("✔", "$success"),
    "warns": ("!", "bold $warning"),
    "fails": ("✘", "bold $error"),
    "not-run": ("○", "$secondary"),
    "running": ("▶", "bold $accent"),
    "waiting": ("·", DIM),
}
WORDS = {"not-run": "not run"}
BADGES = {
    "passes": "bold $background on $success",
    "warns": "bold $background on $warning",
    "fails": "bold $background on $error",
}
"""Badges of a verdict; any other, such as one of a card without diagnostics, is drawn in the second colour."""
OTHER_BADGE = "bold $background on $secondary"
LEAST_BAR = 8
TAIL_ROOM = 34
"""Cells that are kept for what a figure is of, before its bar gets any."""


def glyph(status: str) -> tuple[str, str]:
    """The sign of a status and its style; an unknown one looks like one that was not run, never like a pass."""
    return GLYPHS.get(status, GLYPHS["not-run"])


def word(status: str) -> str:
    """The status as a person reads it."""
    return WORDS.get(status, safe(status, 10))


def badge(text: str, verdict: str) -> Content:
    """A word in the colour of a verdict, as a block."""
    return Content.styled(f" {safe(text, 40)} ", BADGES.get(verdict, OTHER_BADGE))


def interval_bar(accuracy: float, low: float, high: float, width: int, style: str) -> Content:
    """Draw an accuracy on a scale from 0 to 100 % of exactly `width` cells: its interval, and a dot at its place."""
    last = max(1, width - 1)
    left, dot, right = (round(min(1.0, max(0.0, share)) * last) for share in (low, accuracy, high))
    line = ["─"] * width
    line[left : right + 1] = "━" * (right + 1 - left)
    line[dot] = "●"
    text = "".join(line)
    return Content.assemble(
        (text[:left], "$foreground 25%"), (text[left : right + 1], style), (text[right + 1 :], "$foreground 25%")
    )


def figure_line(name: str, figure: Mapping[str, Any], width: int, style: str, about: str = "") -> Content:
    """One accuracy of a card as a line: name, share, bar, interval, and what it is of, as far as there is room.

    Args:
        name: such as "natural".
        figure: with `accuracy` and, where it is known, `interval`, in [0, 1].
        width: cells of the line.
        style: of the figure and of its bar.
        about: what the figure is of.
    """
    accuracy, (low, high) = share_of(figure), interval_of(figure)
    head = Content.assemble((f" {name:<10} ", "$foreground"), (f"{figures.percent(accuracy):>6} ", f"bold {style}"))
    if accuracy is None or low is None or high is None:
        return head
    span = Content.styled(f" {100 * low:>5.1f} – {100 * high:>5.1f} ", DIM)
    tail = Content.styled(f" {about}", "$foreground") if about else Content("")
    room = width - head.cell_length - span.cell_length
    # Room for the longest text is kept on every line, so that the bars of a card have one scale.
    bar_room = min(40, max(0, room - TAIL_ROOM))
    bar = interval_bar(accuracy, low, high, bar_room, style) if bar_room >= LEAST_BAR else Content("")
    line = Content.assemble(head, bar, span, tail)
    return line if line.cell_length <= width else line.truncate(width, ellipsis=True)


def share_of(figure: object) -> float | None:
    """The accuracy of a card's figure, or None where another writer left something else there."""
    value = figure.get("accuracy") if isinstance(figure, Mapping) else None
    return float(value) if is_number(value) else None


def interval_of(figure: object) -> tuple[float | None, float | None]:
    """The ends of a figure's interval, or None twice."""
    value = figure.get("interval") if isinstance(figure, Mapping) else None
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(is_number, value)):
        return float(value[0]), float(value[1])
    return None, None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of JSON is a number that can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
