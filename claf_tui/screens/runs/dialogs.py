"""The questions and forms of the list of runs: a note, tags, whether to delete."""

from collections.abc import Iterator

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from claf_engine.runs.deleting import Contents
from claf_engine.runs.labels import Labels, checked_note, checked_tags
from claf_engine.runs.overview import Overview
from claf_engine.terms.errors import ConfigError
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.screens.form_dialog import FormScreen, Typed
from claf_tui.words.deletion import deletion_text
from claf_tui.words.safe_text import safe

DELETE = Answer("y", "delete for good", "delete", "error")


class LabelScreen(FormScreen[Typed]):
    """Asks what is to be written about a run.

    Args:
        run: its name.
        labels: what is written about it now.
    """

    APPLY = "keep"

    def __init__(self, run: str, labels: Labels) -> None:
        super().__init__()
        self._run = run
        self._labels = labels


class NoteScreen(LabelScreen[str]):
    """Ends with the note on a run, or with None where it stays."""

    HEADING = "note"

    def fields(self) -> Iterator[Widget]:
        """Lay out the field."""
        yield Static(Content(f"About {safe(self._run, 60)}; the filter finds its words."))
        yield Input(self._labels.note, id="note", compact=True)

    def read(self) -> str:
        """The note.

        Raises:
            ValueError: with a sentence for the form.
        """
        try:
            return checked_note(self.query_one("#note", Input).value)
        except ConfigError as error:
            raise ValueError(str(error)) from error


class TagsScreen(LabelScreen[tuple[str, ...]]):
    """Ends with the tags of a run, or with None where they stay."""

    HEADING = "tags"

    def fields(self) -> Iterator[Widget]:
        """Lay out the field."""
        yield Static(Content(f"Of {safe(self._run, 60)}, with spaces between them; tag:NAME filters by them."))
        yield Input(" ".join(self._labels.tags), id="tags", compact=True)

    def read(self) -> tuple[str, ...]:
        """The tags.

        Raises:
            ValueError: with a sentence for the form.
        """
        words = self.query_one("#tags", Input).value.replace(",", " ").split()
        try:
            return checked_tags(word.removeprefix("#") for word in words)
        except ConfigError as error:
            raise ValueError(str(error)) from error


def deletion_question(run: Overview, contents: Contents) -> ConfirmScreen:
    """Ask whether to delete a run for good, with what would go."""
    return ConfirmScreen("delete the run?", deletion_text(run.name, contents), [DELETE, CANCEL])
