"""The settings of a run and the machine: what differs from the preset, and how busy everything is."""

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input

from claf_engine.runs.settings import Settings
from claf_tui.screens.scroll_keys import SCROLL_KEYS
from claf_tui.state.machine import MachineState
from claf_tui.widgets.filter_field import FilterField
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.widgets.machine_panel import MachinePanel, history_title
from claf_tui.widgets.settings_panel import SettingsPanel

WIDE = 110
"""Cells from which on the machine stands beside the settings."""


class SettingsScreen(Screen[None]):
    """Draws settings and machine; whoever opened it tells it of every new look.

    Args:
        settings: of the run, beside those of its preset.
        edits: values as they stand that a person may edit while the run goes on, by name.
        machine: the looks so far.
    """

    AUTO_FOCUS = "#settings-panel"
    CSS_PATH = "../console/settings.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i", "app.pop_screen", "back", id="back"),
        Binding("a", "all_settings", "all settings"),
        Binding("slash", "find", "find a setting", priority=True, id="find"),
        *SCROLL_KEYS,
    ]
    BINDINGS = named("settings", BINDINGS)

    def __init__(self, settings: Settings, edits: Mapping[str, float | str], machine: MachineState) -> None:
        super().__init__()
        self._settings = SettingsPanel(settings, edits, id="settings")
        self._machine = MachinePanel(machine, id="machine")
        self._keys = KeyBar(hints(is_whole=False), id="keys")
        self._edits = edits
        self._is_whole = False
        self._words = ""

    def compose(self) -> ComposeResult:
        """Lay out both panels."""
        example = "words of a name, such as attack steps"
        yield FilterField(filtered="#settings-panel", placeholder=example, id="settings-filter")
        with Container(id="settings-body"):
            with VerticalScroll(id="settings-panel", classes="panel") as panel:
                panel.border_title = Content.styled("settings", "$foreground")
                yield self._settings
            with Vertical(id="machine-panel", classes="panel") as panel:
                panel.border_title = Content.styled(history_title(), "$foreground")
                yield self._machine
        yield self._keys

    def on_resize(self, event: Resize) -> None:
        """Put the machine beside the settings or above them."""
        self.set_class(event.size.width < WIDE, "-narrow")

    def show(self, edits: Mapping[str, float | str], machine: MachineState) -> None:
        """Show these values and this machine from now on."""
        self._edits = edits
        self._show_settings()
        self._machine.show(machine)

    def action_all_settings(self) -> None:
        """Show all settings, or again only those that differ."""
        self._is_whole = not self._is_whole
        self._show_settings()
        self._keys.show(hints(is_whole=self._is_whole))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Let words be typed that hold the key which begins them."""
        return not (action == "find" and isinstance(self.focused, FilterField))

    def action_find(self) -> None:
        """Type words of a setting's name."""
        self.query_one(FilterField).begin()

    @on(Input.Changed, "#settings-filter")
    def words_changed(self, event: Input.Changed) -> None:
        """Show the settings with these words at once."""
        self._words = event.value
        self._show_settings()

    def _show_settings(self) -> None:
        self._settings.show(self._edits, is_whole=self._is_whole, words=self._words)

    def action_scroll(self, lines: int) -> None:
        """Scroll the settings."""
        self.query_one("#settings-panel").scroll_relative(y=lines, animate=False)


def hints(*, is_whole: bool) -> list[Hint]:
    """Name the keys."""
    return [
        ("a", "only what differs" if is_whole else "all settings", "screen.all_settings"),
        ("/", "find", "screen.find"),
        ("↑↓", "scroll", "screen.scroll(3)"),
        ("?", "help", "app.help"),
        ("escape", "back", "app.pop_screen"),
    ]
