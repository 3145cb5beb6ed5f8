"""The form that chooses other runs, whose curves are laid over those of the run that is shown."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Button, SelectionList, Static
from textual.widgets.selection_list import Selection

from claf_engine.runs import RunSummary
from claf_tui.screens.form_dialog import FormScreen
from claf_tui.words.safe_text import safe

MAX_OTHERS = 3
"""As many as there are kinds of dashes."""
MAX_OFFERED = 40


class CompareScreen(FormScreen[tuple[Path, ...]]):
    """Ends with the folders of the chosen runs, maybe none, or with None where nothing is to change.

    Args:
        offered: other runs, newest first.
        chosen: folders of those that are shown already.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "apply", show=False, priority=True)]
    HEADING = "compare with other runs"
    APPLY = "show their curves"

    def __init__(self, offered: Sequence[RunSummary], chosen: Sequence[Path]) -> None:
        super().__init__()
        self._offered = offered
        self._chosen = set(chosen)

    def fields(self) -> Iterator[Widget]:
        """Lay out the list of runs."""
        yield Static(Content(f"space chooses, up to {MAX_OTHERS}; enter shows their curves in dashes over this run's."))
        room = max((cell_len(shown_name(run)) for run in self._offered), default=0)
        yield RunList(
            *(Selection(described(run, room), run.directory, run.directory in self._chosen) for run in self._offered),
            id="compare-runs",
            compact=True,
        )

    def action_apply(self) -> None:
        """Show the chosen runs, or press the button in focus; the list itself would take the key for a choice."""
        if isinstance(self.focused, Button):
            self.focused.press()
        else:
            self._apply()

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(SelectionList).focus()

    def read(self) -> tuple[Path, ...]:
        """The folders that are chosen.

        Raises:
            ValueError: there are more of them than can be told apart.
        """
        chosen: list[Path] = self.query_one(SelectionList).selected
        if len(chosen) > MAX_OTHERS:
            raise ValueError(f"choose at most {MAX_OTHERS} runs; more cannot be told apart")
        return tuple(chosen)


class RunList(SelectionList[Path]):
    """A list whose choices differ by a sign and not by their colours alone."""

    def render_line(self, y: int) -> Strip:
        """Put the sign into the box of a line that was chosen, and nothing into the others."""
        left, box, *rest = super().render_line(y)
        place = self.scroll_offset.y + y
        if place >= self.option_count:
            return Strip([left, box, *rest])
        is_chosen = self.get_option_at_index(place).value in self.selected
        return Strip([left, Segment("✔" if is_chosen else " ", box.style), *rest])


def shown_name(run: RunSummary) -> str:
    """The name of a run, cut and cleaned."""
    return safe(run.name, 48)


def described(run: RunSummary, room: int = 0) -> Content:
    """Name a run in `room` cells, then how it stands and its method, in one line."""
    method, data = (safe(run.record.get(name, ""), 16) for name in ("method", "data"))
    about = " · ".join(part for part in (safe(run.status, 12), f"{method} on {data}" if method else "") if part)
    name = shown_name(run)
    gap = " " * (2 + max(0, room - cell_len(name)))
    return Content.assemble((name, "$foreground"), (f"{gap}{about}", "$foreground 60%"))
