"""The settings that a checkpoint was trained with: those that differ from the preset, or all."""

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.settings import Settings, settings_of
from claf_tui.widgets.settings_panel import SettingsPanel
from claf_tui.words import figures


class SettingsDialog(ModalScreen[None]):
    """Shows the settings of a checkpoint; scrolls."""

    BINDINGS = [
        Binding("escape,i,q", "dismiss(None)", "close"),
        Binding("a", "all_settings", "all settings"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(15)", show=False),
        Binding("pageup", "scroll(-15)", show=False),
    ]

    def __init__(self, info: CheckpointInfo) -> None:
        super().__init__()
        self._info = info
        self._is_whole = False

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(classes="page", can_focus=False) as page:
            page.border_title = Content(f"settings of step {figures.count(self._info.step)}")
            page.border_subtitle = Content("a all settings · escape closes · arrows scroll")
            yield SettingsPanel(compared_settings(self._info), edits_of(self._info))

    def action_all_settings(self) -> None:
        """Show all settings, or again only those that differ."""
        self._is_whole = not self._is_whole
        self.query_one(SettingsPanel).show(edits_of(self._info), is_whole=self._is_whole)

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def edits_of(info: CheckpointInfo) -> dict[str, float | str]:
    """What was edited while the run went on, as values of settings; lists of distances as one text."""
    found: dict[str, float | str] = {}
    for name, value in info.edits.items():
        if isinstance(value, list):
            found[name] = ", ".join(map(str, value))
        elif isinstance(value, float | int | str):
            found[name] = value
    return found


def compared_settings(info: CheckpointInfo) -> Settings:
    """The settings in a checkpoint's header beside those of the preset that its run began with."""
    plain = info.metadata.get("claf.config")
    return settings_of(plain if isinstance(plain, Mapping) else {}, info.path.absolute().parent.parent)
