"""How the run ended, and what to do next. Hidden while the run goes on."""

import shlex
import textwrap

from textual.content import Content
from textual.widget import Widget

from claf_engine.events import RunFinished
from claf_tui.state import RunState
from claf_tui.state.standings import UNAUDITED, cards_changed, standing_of_results
from claf_tui.widgets.tables import caveat_lines, results_table
from claf_tui.widgets.verdicts import DIM, GLYPHS, glyph
from claf_tui.words.next_command import next_command, saved_text
from claf_tui.words.safe_text import safe

LATEST = "latest"
MAX_REASON_LINES = 5
KEYS = "b checkpoints · q leaves"


class OutcomePanel(Widget):
    """The result summary of a finished run, or the reason of a failed one."""

    def __init__(self, *, read_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._state = RunState()
        self._standing = ""
        self._looked_up: tuple[object, ...] = ()
        self.display = False

    def show(self, state: RunState) -> None:
        """Appear when the run has ended; a card that comes later is noticed."""
        directory = state.run.directory if state.run is not None else ""
        looked_up = state.finished, cards_changed(directory) if state.finished is not None else 0.0
        if looked_up == self._looked_up:
            return
        self._looked_up = looked_up
        self._state = state
        self._standing = standing_of_results(directory, state.finished) if state.finished is not None else ""
        self.display = state.finished is not None
        if state.finished is not None:
            self.border_title = Content.styled(state.finished.status.upper(), "bold")
            self.set_class(state.finished.has_failed, "-failed")
            self.set_class(state.finished.status == "stopped", "-stopped")
        self.refresh(layout=True)

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as the summary has."""
        return len(self._lines(width))

    def render(self) -> Content:
        """Draw the summary."""
        return Content("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Content]:
        if not self._read_only or self._state.run is None:
            return outcome_lines(self._state, width, standing=self._standing)
        watched = shlex.quote(safe(self._state.run.run, 60))
        return outcome_lines(self._state, width, watched, self._standing)


def outcome_lines(state: RunState, width: int, run: str = LATEST, standing: str = "") -> list[Content]:
    """Write how the run ended as lines of at most `width` cells.

    Args:
        state: of the run.
        width: of the lines.
        run: what commands call it; a watched one need not be the latest.
        standing: what its results rest on, such as "unaudited".
    """
    if state.finished is None:
        return []
    finished = state.finished
    lines = _reason_lines(finished, width)
    if finished.results:
        lines += _caption_lines(finished, width, standing)
        lines += caveat_lines([item for result in finished.results for item in result.robust], width)
        lines += results_table(finished.results, width)
    if finished.status == "stopped":
        lines.append(_plain(f" {saved_text(finished)}", width))
    command = next_command(finished, run, state.run.directory if state.run is not None else "")
    return [*lines, *next_lines(command, width)]


def next_lines(command: str, width: int) -> list[Content]:
    """Name the next command, whole even where it takes several lines, and the keys that matter now."""
    lead = " next: "
    wrapped = textwrap.wrap(command, max(20, width - len(lead)), break_on_hyphens=False)
    lines = [
        Content.assemble((lead if index == 0 else " " * len(lead), DIM), (part, "bold $accent"))
        for index, part in enumerate(wrapped)
    ]
    both = Content.assemble(lines[-1], (f"   {KEYS}", DIM))
    return [*lines[:-1], both if both.cell_length <= width else lines[-1].truncate(width, ellipsis=True)]


def _reason_lines(finished: RunFinished, width: int) -> list[Content]:
    if not finished.reason:
        return []
    style = "bold $error" if finished.has_failed else "$foreground"
    wrapped = textwrap.wrap(safe(finished.reason, 600), max(20, width - 2))
    shown = wrapped[:MAX_REASON_LINES]
    return [Content.styled(f" {line}", style).truncate(width, ellipsis=True) for line in shown]


def _caption_lines(finished: RunFinished, width: int, standing: str) -> list[Content]:
    """What the table holds, what it rests on, and how its result was chosen, on two lines where one is too short."""
    what = Content.assemble((" accuracy on test images", DIM), _standing(standing))
    if not finished.selected_on:
        return [what.truncate(width, ellipsis=True)]
    chosen = f"★ chosen by {safe(finished.selected_on, 100)}"
    one = Content.assemble(what, (f" · {chosen}", DIM))
    return [one] if one.cell_length <= width else [what.truncate(width, ellipsis=True), _plain(f" {chosen}", width)]


def _standing(standing: str) -> Content:
    if not standing:
        return Content("")
    if standing == UNAUDITED:
        return Content.assemble((" · ", DIM), (UNAUDITED, "bold $warning"), (": b, then a audits", DIM))
    verdict = standing.removeprefix("audit ")
    return Content.assemble((" · ", DIM), (standing, glyph(verdict)[1] if verdict in GLYPHS else DIM))


def _plain(text: str, width: int) -> Content:
    return Content.styled(text, DIM).truncate(width, ellipsis=True)
