"""The console of an audit: diagnostics appear one by one, and end in a robustness card."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from textual.app import App, SystemCommand
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.audits.diagnostic import Check, Diagnostic
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_tui.console.app import AbandonScreen, ConsoleApp
from claf_tui.console.bridge import Engine, describe
from claf_tui.console.launch import run_console, typed_command
from claf_tui.reports import output
from claf_tui.screens.audit import AuditScreen
from claf_tui.screens.card import CardScreen
from claf_tui.screens.confirm_dialog import Answer
from claf_tui.screens.help import AuditHelp, HelpScreen
from claf_tui.state.audit import END_WORDS, AuditScene, end_word
from claf_tui.state.moment import Moment
from claf_tui.words import exit_codes

Item = Pulse | Diagnostic | Mapping[str, Any]
"""What an audit tells: that it is alive, a diagnostic as soon as it is known, and at its end the card."""
MakeItems = Callable[[Control], Iterator[Item]]
ListChecks = Callable[[], Sequence[Check]]


def all_checks() -> Sequence[Check]:
    """The diagnostics that an audit runs, in order. Loads torch, so it is called in the engine's thread only."""
    from claf_engine.audits.checks import CHECKS

    return CHECKS


class AuditEngine:
    """An audit as an engine of the console: pulses are progress, and all else waits here until it is taken.

    Args:
        make_items: makes what the audit tells; called once, in the engine's thread.
        list_checks: what will be run.
    """

    def __init__(self, make_items: MakeItems, list_checks: ListChecks = all_checks) -> None:
        self._make_items = make_items
        self._list_checks = list_checks
        self._told: deque[Diagnostic | Mapping[str, Any]] = deque()
        self.checks: tuple[Check, ...] = ()

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Play the audit; a stop leaves at the next pulse, because what is finished is kept."""
        for item in self._make_items(control):
            if not self.checks:
                self.checks = tuple(self._list_checks())
            if isinstance(item, Pulse):
                yield progress(item)
                control.wait_while_paused()
                if control.stop_requested:
                    return
            else:
                self._told.append(item)

    def take(self) -> Iterator[Diagnostic | Mapping[str, Any]]:
        """Hand over what came since the last call, in order; safe while the engine is at work."""
        while self._told:
            yield self._told.popleft()


class AuditApp(ConsoleApp):
    """Shows an audit; it can be paused, and left and gone on with."""

    CSS_PATH = "console.tcss"
    IS_SERIES = True
    LEAVE_TEXT = "The audit is live. What is finished is kept;\nthe same command goes on from there."

    def __init__(
        self, engine: Engine, control: Control, *, read_only: bool = False, log_file: TextIO | None = None
    ) -> None:
        super().__init__(engine, control, read_only=read_only, log_file=log_file)
        assert isinstance(engine, AuditEngine)
        self._engine = engine
        self._home = AuditScreen(control)
        self._scene = AuditScene(command=typed_command())

    @property
    def home(self) -> Screen[None]:
        """The list of diagnostics."""
        return self._home

    @property
    def scene(self) -> AuditScene:
        """What is shown."""
        return self._scene

    @property
    def has_ended(self) -> bool:
        """Whether the engine has left and all that it sent was taken."""
        return self.thread.has_left

    @property
    def can_resume(self) -> bool:
        """No run is resumed from here."""
        return False

    @property
    def word(self) -> str:
        """The status word."""
        if self.has_ended:
            return end_word(has_failed=self.thread.error is not None, has_card=self._scene.card is not None)
        is_starting = self._scene.activity is None and self.control.status == "running"
        return "STARTING" if is_starting else self.control.status.upper()

    @property
    def reason(self) -> str:
        """Why the audit failed, or an empty string."""
        return "" if self.thread.error is None else describe(self.thread.error)

    @property
    def exit_code(self) -> int:
        """What the process should end with: a signal's code, that of the engine's error, or 0."""
        if self._signal_code is not None:
            return self._signal_code
        if self.thread.error is not None:
            return int(getattr(self.thread.error, "exit_code", exit_codes.UNEXPECTED))
        return exit_codes.OK

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An audit has no browser of its own."""
        return False if action == "checkpoints" else super().check_action(action, parameters)

    def take(self, event: ev.Event) -> None:
        """Keep what is being done."""
        if isinstance(event, ev.Progressed):
            self._scene = replace(self._scene, activity=event)

    def draw(self, moment: Moment) -> None:
        """Take what was told and show it."""
        for item in list(self._engine.take()):
            if isinstance(item, Diagnostic):
                self._scene = replace(self._scene, found=(*self._scene.found, item), began=moment.waited)
            else:
                self._scene = replace(self._scene, card=item)
        if self._scene.activity is None:
            self._scene = replace(self._scene, began=moment.waited)
        word = self.word
        if word in END_WORDS and self._scene.moment.word in END_WORDS:
            moment = replace(moment, waited=self._scene.moment.waited)
        moment = replace(moment, word=word)
        self._scene = replace(self._scene, checks=self._engine.checks, moment=moment, reason=self.reason)
        self._home.show(self._scene)

    def help_screen(self) -> HelpScreen:
        """Explain keys and verdicts."""
        return AuditHelp()

    def action_card(self) -> None:
        """Open the card, once there is one."""
        if self._scene.card is None:
            self.notify("the card comes with the last diagnostic", markup=False, timeout=3)
        elif not isinstance(self.screen, CardScreen):
            self.push_screen(CardScreen(self._scene.card))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put the keys of this screen into the command palette."""
        yield from App.get_system_commands(self, screen)
        yield SystemCommand("Pause or go on", "the audit waits at its next step", self._home.action_toggle_pause)
        yield SystemCommand("Next alarm", "the next diagnostic that does not pass", self._home.action_next_alarm)
        yield SystemCommand("Robustness card", "all figures on one page", self.action_card)

    def _ask_to_abandon(self) -> None:
        if isinstance(self.screen, AbandonScreen):
            return
        text = "The audit leaves at its next step. Leaving now loses nothing but the attack that is running."
        answers = [Answer("w", "wait", "", "primary"), Answer("x", "leave at once", "abandon", "error")]
        self.push_screen(AbandonScreen("leave at once?", text, answers), self._on_abandon_answer)


def run_audit_console(
    make_items: MakeItems, control: Control, *, log_path: Path, list_checks: ListChecks = all_checks
) -> int:
    """Show an audit in the terminal until the person leaves.

    Args:
        make_items: makes what the audit tells, in a thread of its own: pulses, every diagnostic, then the card as a
            JSON object. It need not look at `control`: pauses and stops are done here, at pulses.
        control: what pauses and stops the audit.
        log_path: file for everything that other code prints; also receives the traceback of a failure.
        list_checks: what will be run; called in the engine's thread.

    Returns:
        The process exit code: 0 also for an audit that a person stopped, whatever its verdict, and an error's own.
    """
    engine = AuditEngine(make_items, list_checks)
    result = run_console(engine, control, log_path=log_path, app_class=AuditApp)
    if result.reason and result.return_code != exit_codes.OK:
        output.error(f"{result.reason} (more in {log_path})")
    return result.return_code


def progress(pulse: Pulse) -> ev.Progressed:
    """A pulse as the console's event of progress; nothing but its activity is known."""
    fraction = pulse.done / pulse.total if pulse.total else 0.0
    return ev.Progressed(0, 0, 0, pulse.activity, fraction, 0.0, 0.0, 0.0, 0.0, None, None, None, 0, 0)
