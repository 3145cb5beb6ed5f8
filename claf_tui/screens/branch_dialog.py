"""The form that goes back from a diverged run: a step to branch off from, and the settings that change there."""

from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from claf_tui.screens.checkpoints.actions import Entry, ResumeRequest
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MAX_STEPS = 6
"""Steps that the form names; the others may be typed all the same."""


class BranchScreen(ModalScreen[ResumeRequest]):
    """Ends with what to branch off from, or with None.

    Args:
        entries: the run's checkpoints that can be read, newest first.
        step: of the one to begin with.
        way_back: settings to begin with, such as "supervised.optimizer.learning_rate=0.01".
    """

    BINDINGS = [Binding("escape", "dismiss(None)", "cancel")]

    def __init__(self, entries: Sequence[Entry], step: int, way_back: Sequence[str]) -> None:
        super().__init__()
        self._files = {entry.info.step: entry.path for entry in entries if entry.info is not None}
        self._step = step
        self._settings = dict(setting.partition("=")[::2] for setting in way_back)

    def compose(self) -> ComposeResult:
        """Lay out a field for the step and one for each setting."""
        steps = ", ".join(figures.count(step) for step in list(self._files)[:MAX_STEPS])
        more = "" if len(self._files) <= MAX_STEPS else ", …"
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content("go back")
            yield Static(Content("A new run begins at a checkpoint of this one; this one stays as it is."))
            yield Label(f"step, of {steps}{more}", markup=False)
            yield Input(str(self._step), id="branch-step", compact=True)
            for number, (key, value) in enumerate(self._settings.items()):
                yield Label(safe(key, 100), markup=False)
                yield Input(value, id=f"branch-setting-{number}", compact=True)
            yield Static(Content(""), id="branch-error")
            with Horizontal(classes="answers"):
                yield Button("train from there", id="apply", variant="primary", compact=True)
                yield Button("cancel", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        """Apply on enter."""
        self._apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Apply or cancel."""
        if event.button.id == "apply":
            self._apply()
        else:
            self.dismiss(None)

    def _apply(self) -> None:
        try:
            file = chosen_file(self._files, self.query_one("#branch-step", Input).value)
        except ValueError as error:
            self.query_one("#branch-error", Static).update(Content.styled(str(error), "$error"))
            return
        typed = [self.query_one(f"#branch-setting-{number}", Input).value for number in range(len(self._settings))]
        changes = [f"{key}={value.strip()}" for key, value in zip(self._settings, typed, strict=True) if value.strip()]
        self.dismiss(ResumeRequest(file, tuple(changes)))


def chosen_file(files: dict[int, Path], text: str) -> Path:
    """The checkpoint of the step that was typed.

    Raises:
        ValueError: with a sentence for the form.
    """
    digits = text.strip().replace(",", "")
    if not digits.isdecimal() or int(digits) not in files:
        raise ValueError(f"there is no checkpoint of step {safe(text.strip(), 20) or '?'}")
    return files[int(digits)]
