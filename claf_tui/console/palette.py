"""What the command palette offers in every console, and where its picture of the screen goes."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from textual.app import App, SystemCommand
from textual.events import MouseDown
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen
from textual.theme import Theme

from claf_engine.config.suggestion import suggestion
from claf_engine.terms.errors import ConfigError
from claf_tui.console.preferences import keep_theme, preferences_file, read_preferences
from claf_tui.console.readable import Readable
from claf_tui.console.screenshot import places, save_picture
from claf_tui.console.theme import THEME, THEMES
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.help import HelpScreen
from claf_tui.screens.runs.requests import NewRunRequest, OpenRequest
from claf_tui.widgets.keys import OwnKey
from claf_tui.words.safe_text import safe

REPLACED = {"Keys", "Screenshot"}
"""Commands of Textual's own that do better here: a second help, and a picture in a folder that need not be there."""
CLOSING_SECONDS = 0.1
"""After which the palette is off the screen that is taken a picture of."""


NOTICE_SECONDS = 8
READABLE = Readable()


class PaletteApp(App[ResumeRequest | OpenRequest | NewRunRequest]):
    """An app in a person's own colours and keys, whose palette offers only what works at the moment.

    Attributes:
        changed_keys: new keys by the id of what they do, as far as they could be taken.
        own_keys: the same for a help page.
    """

    changed_keys: Mapping[str, str] = {}
    own_keys: tuple[OwnKey, ...] = ()

    def on_mount(self) -> None:
        """Take the theme and the keys that a person wants, and say what of them cannot be had."""
        self._wanted = read_preferences()
        for theme in THEMES:
            self.register_theme(theme)
        notices = list(self._wanted.notices)
        name = self._wanted.theme or THEME.name
        if name not in self.available_themes:
            where = self._wanted.named_by or "the last choice"
            near = suggestion(name, self.available_themes)
            notices.append(f"{where}: there is no theme {safe(name, 40)}{near}; `claf-tui config theme` lists all")
            name = THEME.name
        self._wanted = replace(self._wanted, theme=name)
        self.theme = name
        self.theme_changed_signal.subscribe(self, self._keep_theme, immediate=True)
        notices += self._take_keys(self._wanted.keys)
        for text in notices:
            self.notify(safe(text, 400), severity="warning", markup=False, timeout=NOTICE_SECONDS)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Close a dialog by a click beside it, as escape does; that which opens one ends when it is up already."""
        under, _ = self.get_widget_at(event.screen_x, event.screen_y)
        if isinstance(self.screen, ModalScreen) and under is self.screen:
            self.simulate_key("escape")

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Let curves be read on a light background."""
        filters = super().get_line_filters()
        return filters if self.current_theme.dark else (READABLE, *filters)

    def _take_keys(self, wanted: Mapping[str, str]) -> tuple[str, ...]:
        if not wanted:
            return ()
        from claf_tui.console.keymap import all_actions, checked, own_keys  # loads every screen

        actions = all_actions()
        keymap = checked(wanted, actions, preferences_file().name)
        self.changed_keys, self.own_keys = keymap.keys, own_keys(keymap.keys, actions)
        self.set_keymap(dict(keymap.keys))
        return keymap.complaints

    def _keep_theme(self, theme: Theme) -> None:
        if theme.name == self._wanted.theme:
            return
        if self._wanted.named_by:
            self.notify(f"until you leave: {self._wanted.named_by} names another theme", markup=False)
            return
        self._wanted = replace(self._wanted, theme=theme.name)
        try:
            keep_theme(theme.name)
        except ConfigError as error:
            self.notify(safe(error, 400), severity="warning", markup=False)

    @property
    def run_directory(self) -> Path | None:
        """The folder of the run that is shown, if any."""
        return None

    def help_screen(self) -> HelpScreen:
        """Make the help page."""
        return HelpScreen()

    def action_help(self) -> None:
        """Show the help page."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(self.help_screen())

    def take_picture(self) -> None:
        """Save the screen as it is, and say where."""
        folders = places(self.run_directory)
        try:
            saved = save_picture(self.export_screenshot(), folders, time.time())
        except OSError as error:
            text = f"cannot save a screenshot in {folders[-1]}: {error.strerror}; start claf-tui in a folder of yours"
            self.notify(safe(text, 400), severity="error", markup=False)
        else:
            self.notify(f"screenshot: {safe(saved, 400)}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer what every console can do."""
        yield from (command for command in super().get_system_commands(screen) if command.title not in REPLACED)
        if not isinstance(screen, HelpScreen):
            yield SystemCommand("Help", "every key, and what the figures mean", self.action_help)
        yield SystemCommand("Screenshot", "save the screen as SVG in the folder of the run", self._take_picture_soon)

    def _take_picture_soon(self) -> None:
        self.set_timer(CLOSING_SECONDS, self.take_picture)
