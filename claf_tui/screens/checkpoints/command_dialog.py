"""A dialog around a command in a process of its own: that it is going on, then what it printed or what went wrong."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from typing import TypeVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from claf_tui.screens.checkpoints.actions import last_sentence
from claf_tui.widgets.glyphs import spinner
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

FRAMES_PER_SECOND = 8
Answer = TypeVar("Answer")


class CommandScreen(ModalScreen[Answer]):
    """Runs a command and ends it when the dialog is left.

    Args:
        title: of the dialog.
        activity: what the command does, beside the spinner.
        typed: the command as a person types it.
        command: the same as arguments.
    """

    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "close"),
        Binding("y", "copy", "copy the command"),
    ]
    KEYS = "y copies the command · escape closes"

    def __init__(self, title: str, activity: str, typed: str, command: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._activity = activity
        self._typed = typed
        self._command = list(command)
        self._is_waiting = True
        self._frame = 0

    def compose(self) -> ComposeResult:
        """Lay out command, result and keys."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(safe(self._title, 60))
            yield Static(Content(""), id="command-shown")
            yield Static(Content(""), id="figures-shown")
            yield from self.compose_more()
            yield Static(Content.styled(self.KEYS, "$foreground 60%"), id="dialog-keys")

    def compose_more(self) -> ComposeResult:
        """Lay out what stands below the result; nothing by default."""
        yield from ()

    def on_mount(self) -> None:
        """Start."""
        self.set_interval(1 / FRAMES_PER_SECOND, self._tick)
        self.start()

    def start(self) -> None:
        """Run the command, instead of the one that may be running."""
        self._is_waiting, self._frame = True, 0
        self.query_one("#command-shown", Static).update(Content.styled(safe(self._typed, 300), "$foreground 60%"))
        self._tick()
        self._run_command()

    def take(self, output: str) -> None:
        """Show what the command printed.

        Raises:
            ValueError: it is not what the command prints.
        """
        raise NotImplementedError

    def may_have_printed(self, return_code: int) -> bool:
        """Whether a command that ended with this code has printed its result."""
        return return_code == 0

    def action_copy(self) -> None:
        """Put the command on the clipboard."""
        self.app.copy_to_clipboard(self._typed)
        self.notify("copied", markup=False, timeout=2)

    def show_lines(self, lines: Sequence[Content]) -> None:
        """Show a result in place of the spinner."""
        self._is_waiting = False
        self.query_one("#figures-shown", Static).update(Content("\n").join([Content(""), *lines, Content("")]))

    def _tick(self) -> None:
        if self._is_waiting:
            self._frame += 1
            spent = figures.duration(self._frame / FRAMES_PER_SECOND)
            text = f"\n{spinner(self._frame)} {self._activity} · {spent}\n"
            self.query_one("#figures-shown", Static).update(Content.styled(text, "$accent"))

    @work(exclusive=True)
    async def _run_command(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            self.show_lines([Content.styled(safe(error.strerror, 200), "$error")])
            return
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        try:
            if not self.may_have_printed(process.returncode or 0):
                raise ValueError(last_sentence(errors.decode(errors="replace")))
            self.take(output.decode(errors="replace"))
        except ValueError as error:
            self.show_lines([Content.styled(safe(error, 300), "$error")])
