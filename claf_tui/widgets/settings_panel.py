"""The settings of a run beside those of its preset. Pure functions and a widget; every foreign string is cleaned."""

import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from textual.content import Content
from textual.widget import Widget

from claf_engine.runs.settings import Setting, Settings
from claf_tui.widgets.diagnostics import wrapped
from claf_tui.widgets.verdicts import DIM
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MAX_SETTINGS = 400
"""A configuration of ours has some two hundred."""
MAX_NAME, MAX_VALUE = 60, 400
GAP = "  "
EDITED = "edited while the run went on"


class Row(NamedTuple):
    """A setting as it stands."""

    setting: Setting
    is_edited: bool = False


class Rooms(NamedTuple):
    """Cells of the three columns."""

    name: int
    value: int
    preset: int


class SettingsPanel(Widget):
    """The settings that differ from the preset, all that the method reads, or those with words in their names."""

    def __init__(self, settings: Settings, edits: Mapping[str, float | str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._settings = settings
        self._edits = dict(edits)
        self._is_whole = False
        self._words = ""

    def show(self, edits: Mapping[str, float | str], *, is_whole: bool, words: str = "") -> None:
        """Show these values as edited while the run went on, of the settings that `settings_lines` names."""
        if (edits, is_whole, words) != (self._edits, self._is_whole, self._words):
            self._edits, self._is_whole, self._words = dict(edits), is_whole, words
            self.refresh(layout=True)

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as the settings take."""
        return len(self._lines(width))

    def render(self) -> Content:
        """Draw the table."""
        return Content("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Content]:
        return settings_lines(self._settings, self._edits, width, is_whole=self._is_whole, words=self._words)


def _edited_value(setting: Setting, edits: Mapping[str, float | str]) -> Any:
    """The value of a setting as it stands; distances are edited as one text."""
    new = edits.get(setting.name, setting.value)
    is_same = isinstance(setting.value, list) and new == ", ".join(map(str, setting.value))
    return setting.value if is_same else new


def rows_of(settings: Settings, edits: Mapping[str, float | str]) -> list[Row]:
    """The settings as they stand: what was edited while the run went on has its new value."""
    known = {setting.name for setting in settings.all}
    rows = []
    for setting in settings.all:
        new = _edited_value(setting, edits)
        rows.append(Row(setting._replace(value=new), is_edited=new != setting.value))
    return [*rows, *(Row(Setting(name, new, None), True) for name, new in edits.items() if name not in known)]


def settings_lines(
    settings: Settings, edits: Mapping[str, float | str], width: int, *, is_whole: bool = False, words: str = ""
) -> list[Content]:
    """Write each setting with its value and the preset's, group by group; a value that is long takes several lines.

    Args:
        settings: of the run, beside those of the preset.
        edits: values as they stand that a person may edit while the run goes on, by name.
        width: of the lines, in cells.
        is_whole: also those settings that are as in the preset, as far as the method reads them.
        words: where there are some, all settings whose names hold every one of them, and no others.
    """
    rows = rows_of(settings, edits)
    different = [row for row in rows if row.setting.differs]
    lines = [Content.styled(f" {line}", DIM) for line in wrapped(summary(settings, len(different)), width - 2)]
    shown = _shown(rows, words, is_whole=is_whole)[:MAX_SETTINGS]
    if not shown:
        return [*lines, Content(""), Content.styled(" no setting has these words in its name", DIM)] if words else lines
    head = ("setting", "this run", f"preset {safe(settings.preset, 30)}")
    texts = [_texts(row) for row in shown]
    rooms = _rooms([head, *texts], width)
    lines += [Content(""), *_folded(head, rooms, (DIM, DIM, DIM))]
    group = shown[0].setting.group
    for row, text in zip(shown, texts, strict=True):
        if is_whole and row.setting.group != group:
            lines.append(Content(""))
        group = row.setting.group
        styles = ("$foreground", "bold $accent", DIM) if row.setting.differs else (DIM, "$foreground", DIM)
        lines += _folded(text, rooms, styles)
    if any(row.is_edited for row in shown):
        lines.append(Content.styled(f" * {EDITED}", DIM))
    if is_whole and not words and len(shown) < len(rows):
        lines += [Content(""), Content.styled(f" {left_out(len(rows) - len(shown))}", DIM)]
    return lines


def _shown(rows: Sequence[Row], words: str, *, is_whole: bool) -> list[Row]:
    if words:
        return [row for row in rows if all(word in row.setting.name.casefold() for word in words.casefold().split())]
    return [row for row in rows if row.setting.differs or (is_whole and not row.setting.is_idle)]


def left_out(count: int) -> str:
    """Say how many settings are not shown because the method reads none of them."""
    return f"{count} settings that this method does not read are left out"


def summary(settings: Settings, num_different: int) -> str:
    """Say in one sentence from which preset how many settings differ."""
    which = f"preset {safe(settings.preset, 30)}"
    if not settings.is_named:
        which += ", the nearest one: the command that began the run names none"
    if not num_different:
        return f"every setting is as in {which}"
    return (
        f"{num_different} of {len(settings.all)} settings {'differs' if num_different == 1 else 'differ'} from {which}"
    )


def value_text(value: Any) -> str:
    """Write a value as a configuration would hold it; a dash where it is not set."""
    if value is None:
        return figures.UNKNOWN
    text = value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else json.dumps(value)
    return safe(text, MAX_VALUE)


def _texts(row: Row) -> tuple[str, str, str]:
    value = value_text(row.setting.value) + ("*" if row.is_edited else "")
    return safe(row.setting.name, MAX_NAME), value, value_text(row.setting.preset_value)


def _rooms(rows: Sequence[tuple[str, str, str]], width: int) -> Rooms:
    """Cells of each column: the name has what it needs up to half, the values share the rest as they need it."""
    needed = [max(len(row[column]) for row in rows) for column in range(3)]
    name = min(needed[0], max(8, width // 2))
    rest = max(8, width - 2 - 2 * len(GAP) - name)
    if needed[1] + needed[2] <= rest:
        return Rooms(name, needed[1], needed[2])
    value = max(rest - needed[2], min(needed[1], rest // 2))
    return Rooms(name, value, max(4, rest - value))


def _folded(texts: tuple[str, str, str], rooms: Rooms, styles: tuple[str, str, str]) -> list[Content]:
    cells = [_parts(text, room) for text, room in zip(texts, rooms, strict=True)]
    lines = []
    for parts in zip_longest(*cells, fillvalue=""):
        padded = [(f"{part:<{room}}", style) for part, room, style in zip(parts, rooms, styles, strict=True)]
        lines.append(Content.assemble(" ", padded[0], GAP, padded[1], GAP, padded[2]))
    return lines


def _parts(text: str, room: int) -> list[str]:
    """A text in parts of at most `room` characters: a list breaks after commas, a path wherever it has to."""
    parts = []
    while len(text) > room:
        end = text.rfind(", ", 0, room) + 1 or room
        parts.append(text[:end])
        text = text[end:].lstrip(" ")
    return [*parts, text]
