"""Lines of the form for a new run, as text of a given width. Pure; every text is cleaned."""

from textual.content import Content

from claf_tui.state.draft import Heading, Row
from claf_tui.widgets.verdicts import DIM
from claf_tui.words.safe_text import safe

MARK = "✎"
"""Before what differs from the preset, so that colour alone does not tell."""
NAME_SHARE, LEAST_NAME, MOST_NAME = 0.45, 20, 44


def row_line(line: Row | Heading, width: int) -> Content:
    """Write one line of at most `width` cells: a group, or a setting with its value and the preset's beside it."""
    if isinstance(line, Heading):
        title = line.group or "run"
        return _cut(Content.assemble((title, "bold $primary"), ("  " + safe(line.text, 200), DIM)), width)
    room = int(min(MOST_NAME, max(LEAST_NAME, width * NAME_SHARE)))
    name = safe(line.key, 60)
    name = name if len(name) <= room else f"…{name[-room + 1 :]}"
    mark, style = (MARK, "bold $accent") if line.differs else (" ", "$foreground")
    value = safe(line.value, 200) or "—"
    usual = f"  (preset: {safe(line.usual, 60)})" if line.differs else ""
    return _cut(
        Content.assemble((f"{mark} ", "$accent"), (f"{name:<{room}} ", DIM), (value, style), (usual, DIM)), width
    )


def _cut(line: Content, width: int) -> Content:
    return line if line.cell_length <= width else line.truncate(max(1, width), ellipsis=True)
