"""The form that goes back from a diverged run: a step to branch off from, and the settings that change there."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from claf_tui.screens.checkpoints.actions import Entry, ResumeRequest, refusal_to_resume
from claf_tui.screens.form_dialog import FormScreen
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MAX_STEPS = 6
"""Steps that the form names; the others may be typed all the same."""


class BranchScreen(FormScreen[ResumeRequest]):
    """Ends with what to branch off from, or with None.

    Args:
        entries: the run's checkpoints that can be read, newest first.
        step: of the one to begin with.
        way_back: settings to begin with, such as "supervised.optimizer.learning_rate=0.01".
    """

    HEADING = "go back"
    APPLY = "train from there"

    def __init__(self, entries: Sequence[Entry], step: int, way_back: Sequence[str]) -> None:
        super().__init__()
        self._files = {entry.info.step: entry.path for entry in entries if entry.info is not None}
        self._step = step
        self._settings = dict(setting.partition("=")[::2] for setting in way_back)

    def fields(self) -> Iterator[Widget]:
        """Lay out a field for the step and one for each setting."""
        steps = ", ".join(figures.count(step) for step in list(self._files)[:MAX_STEPS])
        more = "" if len(self._files) <= MAX_STEPS else ", …"
        yield Static(Content("A new run begins at a checkpoint of this one; this one stays as it is."))
        yield Label(f"step, of {steps}{more}", markup=False)
        yield Input(str(self._step), id="branch-step", compact=True)
        for number, (key, value) in enumerate(self._settings.items()):
            yield Label(safe(key, 100), markup=False)
            yield Input(value, id=f"branch-setting-{number}", compact=True)

    def read(self) -> ResumeRequest:
        """The checkpoint and the settings.

        Raises:
            ValueError: with a sentence for the form.
        """
        file = chosen_file(self._files, self.query_one("#branch-step", Input).value)
        typed = [self.query_one(f"#branch-setting-{number}", Input).value for number in range(len(self._settings))]
        changes = [f"{key}={value.strip()}" for key, value in zip(self._settings, typed, strict=True) if value.strip()]
        request = ResumeRequest(file, tuple(changes))
        if refusal := refusal_to_resume(request):
            raise ValueError(safe(refusal, 400))
        return request


def chosen_file(files: dict[int, Path], text: str) -> Path:
    """The checkpoint of the step that was typed.

    Raises:
        ValueError: with a sentence for the form.
    """
    digits = text.strip().replace(",", "")
    if not digits.isdecimal() or int(digits) not in files:
        raise ValueError(f"there is no checkpoint of step {safe(text.strip(), 20) or '?'}")
    return files[int(digits)]
