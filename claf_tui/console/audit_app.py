"""The console of an audit: diagnostics appear one by one, and end in a robustness card."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TextIO

from textual.app import SystemCommand
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.base import ConsoleApp
from claf_tui.console.bridge import Engine
from claf_tui.console.launch import typed_command
from claf_tui.screens.abandon_dialog import AbandonScreen
from claf_tui.screens.audit import AuditScreen
from claf_tui.screens.card import CardScreen
from claf_tui.screens.help import AuditHelp, HelpScreen
from claf_tui.state.audit import AuditScene, at_moment, end_word, reduce
from claf_tui.state.moment import Moment
from claf_tui.words import exit_codes


class AuditApp(ConsoleApp):
    """Shows an audit; it can be paused, and left and gone on with."""

    LEAVE_TEXT = "The audit is live. What is finished is kept;\nthe same command goes on from there."

    def __init__(
        self, engine: Engine, control: Control, *, read_only: bool = False, log_file: TextIO | None = None
    ) -> None:
        super().__init__(engine, control, read_only=read_only, log_file=log_file)
        self._home = AuditScreen(control)
        self.scene = AuditScene(command=typed_command())

    @property
    def home(self) -> Screen[None]:
        """The list of diagnostics."""
        return self._home

    @property
    def word(self) -> str:
        """The status word."""
        if self.has_ended:
            return end_word(has_failed=self.thread.error is not None, has_card=self.scene.card is not None)
        is_starting = self.scene.activity is None and self.control.status == "running"
        return "STARTING" if is_starting else self.control.status.upper()

    @property
    def ending(self) -> exit_codes.Ending:
        """How the audit ended, with its verdict once there is a card."""
        card = self.scene.card
        return replace(super().ending, verdict="" if card is None else str(card.get("verdict")))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An audit has no browser of its own."""
        return False if action == "checkpoints" else super().check_action(action, parameters)

    def take(self, event: ev.Event) -> None:
        """Fold one event of the audit into the scene."""
        self.scene = reduce(self.scene, event)

    def draw(self, moment: Moment) -> None:
        """Show the scene."""
        self.scene = replace(at_moment(self.scene, moment), reason=self.reason)
        self._home.show(self.scene)

    def help_screen(self) -> HelpScreen:
        """Explain keys and verdicts."""
        return AuditHelp()

    def abandon_screen(self) -> AbandonScreen:
        """Ask, though little is lost."""
        text = "The audit leaves at its next step. Leaving now loses nothing but the attack that is running."
        return AbandonScreen("leave at once?", text, "leave at once")

    def action_card(self) -> None:
        """Open the card, once there is one."""
        if self.scene.card is None:
            self.notify("the card comes with the last diagnostic", markup=False, timeout=3)
        elif not isinstance(self.screen, CardScreen):
            self.push_screen(CardScreen(self.scene.card))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put those keys of the list into the command palette that do something now."""
        yield from super().get_system_commands(screen)
        if screen is not self._home:
            return
        if self.can_steer:
            yield self.pause_command("the audit waits at its next step", self._home.action_toggle_pause)
        yield SystemCommand("Next alarm", "the next diagnostic that does not pass", self._home.action_next_alarm)
        if self.scene.card is not None:
            yield SystemCommand("Robustness card", "all figures on one page", self.action_card)
