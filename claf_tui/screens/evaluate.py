"""Evaluate a checkpoint in a process of its own and show its figures."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from claf_tui.safe_text import safe
from claf_tui.screens.checkpoint_actions import evaluate_command, figure_lines, last_sentence, typed_command
from claf_tui.widgets.glyphs import spinner


class EvaluateScreen(ModalScreen[None]):
    """Runs the evaluation, shows that it is going on, then the figures or what went wrong.

    Args:
        path: the checkpoint.
        classifier: which one to ask; None is the checkpoint's own choice.
        command: what to run instead of `claf-tui eval PATH --json`.
    """

    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "close"),
        Binding("y", "copy", "copy the command"),
    ]

    def __init__(self, path: Path, classifier: str | None = None, command: Sequence[str] | None = None) -> None:
        super().__init__()
        self._path = path
        self._typed = typed_command(path, classifier)
        self._command = list(command) if command is not None else evaluate_command(path, classifier)
        self._lines: list[Content] | None = None
        self._frame = 0

    def compose(self) -> ComposeResult:
        """Lay out command, figures and keys."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(f"evaluate {safe(self._path.name, 40)}")
            yield Static(Content.styled(safe(self._typed, 300), "$foreground 60%"))
            yield Static(Content(""), id="figures-shown")
            yield Static(Content.styled("y copies the command · escape closes", "$foreground 60%"))

    def on_mount(self) -> None:
        """Start."""
        self._evaluate()
        self.set_interval(1 / 8, self._tick)
        self._tick()

    def action_copy(self) -> None:
        """Put the command on the clipboard."""
        self.app.copy_to_clipboard(self._typed)
        self.notify("copied", markup=False, timeout=2)

    def _tick(self) -> None:
        if self._lines is None:
            self._frame += 1
            text = f"\n{spinner(self._frame)} attacking test images, {self._frame / 8:.0f} s\n"
            self.query_one("#figures-shown", Static).update(Content.styled(text, "$accent"))

    def _show(self, lines: list[Content]) -> None:
        self._lines = lines
        self.query_one("#figures-shown", Static).update(Content("\n").join([Content(""), *lines, Content("")]))

    @work(exclusive=True)
    async def _evaluate(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            self._show([Content.styled(safe(error.strerror, 200), "$error")])
            return
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        try:
            if process.returncode:
                raise ValueError(last_sentence(errors.decode(errors="replace")))
            lines = figure_lines(output.decode(errors="replace"), 54)
        except ValueError as error:
            lines = [Content.styled(safe(error, 300), "$error")]
        self._show(lines)
