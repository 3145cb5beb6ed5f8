"""The history of alerts and of what people asked for, as lines. Pure."""

import textwrap
from collections.abc import Sequence

from textual.content import Content

from claf_tui.state.run_state import Happening
from claf_tui.words import figures

GLYPHS = {"edit": "✎", "request": "›"}
LEVEL_GLYPHS = {"info": "·", "warning": "!", "error": "✘"}
LEVEL_STYLES = {"info": "$foreground", "warning": "$warning", "error": "bold $error"}
DIM = "$text-muted"
NAME_CELLS, CLOCK_CELLS, STEP_CELLS = 24, 9, 10
EMPTY = "No alert yet, and nobody has changed anything."


def history_lines(history: Sequence[Happening], width: int) -> list[Content]:
    """Write what is active, then all of the history, newest first, in lines of at most `width` cells.

    Args:
        history: oldest first.
        width: of the lines.
    """
    return [line.truncate(width, ellipsis=True) for line in _all_lines(history, width)]


def _all_lines(history: Sequence[Happening], width: int) -> list[Content]:
    active = [one for one in reversed(history) if one.is_active]
    lines = [Content.styled(f"active: {len(active)}" if active else "no alert is active", "bold $accent")]
    lines += [line for one in active for line in _lines(one, width)]
    if not history:
        return [*lines, Content(""), Content.styled(EMPTY, DIM)]
    lines += [Content(""), Content.styled("history, newest first", "bold $accent")]
    return lines + [line for one in reversed(history) for line in _lines(one, width)]


def _lines(one: Happening, width: int) -> list[Content]:
    glyph = GLYPHS.get(one.kind, LEVEL_GLYPHS.get(one.level, "·"))
    clock = f"{figures.duration(one.elapsed):>{CLOCK_CELLS}}"
    lead = f"{clock} {figures.count(one.step):>{STEP_CELLS}} {glyph} {one.kind:<{NAME_CELLS}} "
    lead = lead if width >= 2 * len(lead) else f"{clock} {glyph} {one.kind} "
    room = max(12, width - len(lead))
    texts = textwrap.wrap(f"{one.text}{_aside(one)}", room) or [""]
    style = LEVEL_STYLES.get(one.level, "$foreground") if one.is_active else "$foreground"
    head = Content.assemble((lead, DIM), (texts[0], style))
    rest = [Content.assemble((" " * len(lead), DIM), (text, style)) for text in texts[1:]]
    return [head, *rest]


def _aside(one: Happening) -> str:
    """Who asked and when, or when an alert was over."""
    if one.who:
        return f" · {one.who}{figures.moment(one.at, ' at ') if one.at else ''}"
    if one.ended is not None and one.ended != one.step:
        return f" · over at step {figures.count(one.ended)}"
    return ""
