"""The settings that a checkpoint was trained with: those that differ from the preset first, then all."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from claf_engine.runs.against_preset import AgainstPreset, Setting, against_preset
from claf_engine.runs.folder import read_begun
from claf_engine.runs.header import CheckpointInfo
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

DIM = "$foreground 60%"
NOT_SET = "not set"
MAX_SETTINGS = 500
"""A file of ours has about ninety."""


class SettingsDialog(ModalScreen[None]):
    """Shows the settings of a checkpoint; scrolls."""

    BINDINGS = [
        Binding("escape,i,q", "dismiss(None)", "close"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(15)", show=False),
        Binding("pageup", "scroll(-15)", show=False),
    ]

    def __init__(self, info: CheckpointInfo) -> None:
        super().__init__()
        self._info = info

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(classes="page") as page:
            page.border_title = Content(f"settings of step {figures.count(self._info.step)}")
            page.border_subtitle = Content("escape closes · arrows scroll")
            yield Static(settings_text(compared_settings(self._info)))

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def compared_settings(info: CheckpointInfo) -> AgainstPreset:
    """The settings in a checkpoint's header beside those of the preset that its run began with."""
    plain = info.metadata.get("claf.config")
    command = read_begun(info.path.absolute().parent.parent).get("command")
    return against_preset(plain if isinstance(plain, Mapping) else {}, command if isinstance(command, list) else ())


def settings_text(compared: AgainstPreset) -> Content:
    """Write the page."""
    preset = f"preset {compared.preset}" if compared.is_told else f"the nearest preset, {compared.preset}"
    changes = compared.changes
    number = f"{len(changes)} setting{' differs' if len(changes) == 1 else 's differ'} from {preset}"
    lines = [Content.styled(number if changes else f"no setting differs from {preset}", "bold $primary")]
    lines += _change_lines(changes)
    lines += [Content(""), Content.styled("all settings", "bold $primary")]
    return Content("\n").join([*lines, *_section_lines(compared.settings[:MAX_SETTINGS])])


def _change_lines(changes: Sequence[Setting]) -> list[Content]:
    """A line for each setting that differs, with the preset's value."""
    keys = [safe(setting.key, 60) for setting in changes]
    values = [value_text(setting.value) for setting in changes]
    widths = max(map(len, keys), default=0), max(map(len, values), default=0)
    return [
        Content.assemble(
            (f"  {key.ljust(widths[0])}  ", DIM),
            (value.ljust(widths[1]), "bold $accent"),
            (f"  preset {value_text(setting.preset_value)}", DIM),
        )
        for setting, key, value in zip(changes, keys, values, strict=True)
    ]


def _section_lines(settings: Sequence[Setting]) -> list[Content]:
    """All settings below the names of their sections; those that differ stand out."""
    parts = [(setting, *safe(setting.key, 60).rpartition(".")[::2]) for setting in settings]
    width = max((len(name) for _, _, name in parts), default=0)
    lines, shown = [], ""
    for setting, section, name in parts:
        if section != shown:
            shown = section
            lines.append(Content.styled(f"  {section}", "$secondary"))
        value = (value_text(setting.value), "bold $accent" if setting.differs else "$foreground")
        lines.append(Content.assemble((f"    {name.ljust(width)}  ", DIM), value))
    return lines


def value_text(value: Any) -> str:
    """Write a value of TOML on part of a line."""
    if value is None:
        return NOT_SET
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe(", ".join(map(str, value)) if isinstance(value, list) else value, 40)
