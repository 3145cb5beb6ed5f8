"""A small question with a few answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from claf_tui.words.safe_text import safe

Tone = Literal["default", "primary", "success", "warning", "error"]


@dataclass(frozen=True)
class Answer:
    """One answer: the key that gives it, its label, and the value the question ends with."""

    key: str
    label: str
    value: str
    tone: Tone = "default"


CANCEL = Answer("n", "cancel", "")


class ConfirmScreen(ModalScreen[str]):
    """Asks a question; ends with the value of the chosen answer, or with "" on escape."""

    BINDINGS = [
        Binding("escape", "dismiss('')", "cancel"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._answers = tuple(answers)

    def compose(self) -> ComposeResult:
        """Lay out title, text and one button for each answer."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(safe(self._title, 60))
            yield Static(Content("\n").join([Content(safe(line, 400)) for line in self._text.split("\n")]))
            with Horizontal(classes="answers"):
                for index, answer in enumerate(self._answers):
                    label = Content.from_markup("[bold]$key[/] $label", key=answer.key, label=answer.label)
                    yield Button(label, id=f"answer-{index}", variant=answer.tone, compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """End with the answer of the pressed button."""
        index = int((event.button.id or "answer-0").removeprefix("answer-"))
        self.dismiss(self._answers[index].value)

    def on_key(self, event: Key) -> None:
        """End with the answer whose key was pressed."""
        for answer in self._answers:
            if event.key == answer.key:
                event.stop()
                self.dismiss(answer.value)
                return
