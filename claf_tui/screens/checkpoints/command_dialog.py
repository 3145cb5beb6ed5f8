"""A dialog around a command in a process of its own: that it is going on, then what it printed or what went wrong."""

import asyncio
from asyncio import StreamReader
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
MAX_LINE = 16 * 2**20
"""Bytes of a line that a command prints; a card takes a few tens of KiB."""
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
        self._printed: list[str] = []

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
        self._is_waiting, self._frame, self._printed = True, 0, []
        self.query_one("#command-shown", Static).update(Content.styled(safe(self._typed, 300), "$foreground 60%"))
        self._tick()
        self._run_command()

    def hear(self, line: str) -> None:
        """Take one line that the command has printed, while it goes on."""
        self._printed.append(line)

    def waiting_lines(self) -> list[Content]:
        """What is shown while the command goes on."""
        spent = figures.duration(self._frame / FRAMES_PER_SECOND)
        return [Content.styled(f"{spinner(self._frame)} {self._activity} · {spent}", "$accent")]

    def finish(self) -> None:
        """Show what the command has printed, or end with it.

        Raises:
            ValueError: it is not what the command prints.
        """
        raise NotImplementedError

    @property
    def printed(self) -> str:
        """All that the command has printed."""
        return "".join(self._printed)

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
            text = Content("\n").join([Content(""), *self.waiting_lines(), Content("")])
            self.query_one("#figures-shown", Static).update(text)

    @work(exclusive=True)
    async def _run_command(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=MAX_LINE
            )
        except OSError as error:
            self._show_error(safe(error.strerror, 200))
            return
        try:
            _, errors = await asyncio.gather(self._listen(process.stdout), _rest(process.stderr))
            await process.wait()
            if not self.may_have_printed(process.returncode or 0):
                raise ValueError(last_sentence(errors.decode(errors="replace")))
            if self.display:
                self.finish()
        except ValueError as error:
            self._show_error(safe(error, 300))
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    def _show_error(self, text: str) -> None:
        """Show what went wrong; `display` is False once the dialog is taken down, and widgets may be gone before it."""
        if self.display:
            self.show_lines([Content.styled(text, "$error")])

    async def _listen(self, stream: StreamReader | None) -> None:
        """Hear every line.

        Raises:
            ValueError: one is longer than any of ours.
        """
        while stream is not None and (line := await stream.readline()):
            self.hear(line.decode(errors="replace"))


async def _rest(stream: StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""
