"""How the run ended, and what to do next. Hidden while the run goes on."""

import os
import shlex
import textwrap
from pathlib import Path

from textual import work
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from claf_engine.events import RunFinished
from claf_tui.state import RunState
from claf_tui.state.outcome import BestEpoch, Earlier, Outcome, look_up
from claf_tui.state.standings import UNAUDITED, cards_changed
from claf_tui.widgets.tables import caveat_lines, results_table
from claf_tui.widgets.verdicts import DIM, GLYPHS, glyph
from claf_tui.words import figures
from claf_tui.words.next_command import next_command, saved_text
from claf_tui.words.safe_text import safe

LATEST = "latest"
MAX_REASON_LINES = 5
KEYS = "b checkpoints · q leaves"
FACT_ROOM = 9
"""Cells of the name of a fact."""
MAX_CHANGES = 2
"""Settings that are named where an earlier run had others."""
NOTHING_KNOWN = Outcome()


class OutcomePanel(Widget):
    """The result summary of a finished run, or the reason of a failed one.

    Attributes:
        outcome: what the files of the run tell of its end, as far as it was looked up.
    """

    class LookedUp(Message):
        """The files of the run were read."""

        def __init__(self, outcome: Outcome) -> None:
            super().__init__()
            self.outcome = outcome

    def __init__(self, *, read_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._state = RunState()
        self._looked_up: tuple[object, ...] = ()
        self.outcome = Outcome()
        self.display = False

    def show(self, state: RunState) -> None:
        """Appear when the run has ended; a card that comes later is noticed."""
        directory = state.run.directory if state.run is not None else ""
        looked_up = state.finished, cards_changed(directory) if state.finished is not None else 0.0
        if looked_up == self._looked_up:
            return
        self._looked_up = looked_up
        self._state = state
        self.display = state.finished is not None
        if state.finished is not None:
            self.border_title = Content.styled(state.finished.status.upper(), "bold")
            self.set_class(state.finished.has_failed, "-failed")
            self.set_class(state.finished.status == "stopped", "-stopped")
            if directory:
                self._look_up(Path(directory), state.finished)
        self.refresh(layout=True)

    @work(thread=True, exclusive=True)
    def _look_up(self, directory: Path, finished: RunFinished) -> None:
        self.post_message(self.LookedUp(look_up(directory, finished)))

    def on_outcome_panel_looked_up(self, event: LookedUp) -> None:
        """Show what the files tell."""
        self.outcome = event.outcome
        self.refresh(layout=True)

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as the summary has."""
        return len(self._lines(width))

    def render(self) -> Content:
        """Draw the summary."""
        return Content("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Content]:
        if not self._read_only or self._state.run is None:
            return outcome_lines(self._state, width, outcome=self.outcome)
        watched = shlex.quote(safe(self._state.run.run, 60))
        return outcome_lines(self._state, width, watched, self.outcome)


def outcome_lines(state: RunState, width: int, run: str = LATEST, outcome: Outcome = NOTHING_KNOWN) -> list[Content]:
    """Write how the run ended as lines of at most `width` cells.

    Args:
        state: of the run.
        width: of the lines.
        run: what commands call it; a watched one need not be the latest.
        outcome: what its files tell.
    """
    if state.finished is None:
        return []
    finished = state.finished
    lines = _reason_lines(finished, width)
    if finished.results:
        lines += _caption_lines(finished, width, outcome.standing)
        lines += caveat_lines([item for result in finished.results for item in result.robust], width)
        lines += results_table(finished.results, width)
    lines += _fact_lines(outcome, width)
    if finished.status == "stopped":
        lines.append(_plain(f" {saved_text(finished)}", width))
    command = next_command(finished, run, state.run.directory if state.run is not None else "")
    return [*lines, *next_lines(command, width)]


def _fact_lines(outcome: Outcome, width: int) -> list[Content]:
    """The best epoch, the run before this one, and the file that was measured, as far as they are known."""
    facts: list[tuple[str, Content]] = []
    if outcome.best is not None:
        facts.append(("best", best_text(outcome.best)))
    if outcome.earlier is not None:
        facts.append(("before", earlier_text(outcome.earlier)))
    if outcome.checkpoint is not None:
        facts.append(("file", Content.styled(shown_path(outcome.checkpoint.path), "$foreground")))
    return [
        line if not index else Content.assemble(" " * FACT_ROOM, line)
        for name, text in facts
        for index, line in enumerate(_wrapped(name, text, width))
    ]


def _wrapped(name: str, text: Content, width: int) -> list[Content]:
    """A fact with its name before its first line; a long one takes several."""
    first, *rest = text.wrap(max(20, width - FACT_ROOM)) or [Content("")]
    return [Content.assemble((f" {name:<{FACT_ROOM - 1}}", DIM), first), *rest]


def best_text(best: BestEpoch) -> Content:
    """Name the epoch with the highest figure on validation images, and say whether a stronger attack made it."""
    return Content.assemble(
        (f"epoch {best.epoch}", "bold $foreground"),
        (f" of {safe(best.phase, 40)} (step {figures.count(best.step)}): ", "$foreground"),
        (f"robust {safe(best.radius, 16)} {figures.percent(best.robust)}".replace("  ", " "), "bold $secondary"),
        (" on validation images" + (" under the stronger attack" if best.is_stronger else ""), DIM),
    )


def earlier_text(earlier: Earlier) -> Content:
    """Compare the result with the earlier run's: by how much, whether that is more than noise, and what was changed."""
    low, high = earlier.interval
    style = DIM if earlier.is_noise else "bold $success" if earlier.difference > 0 else "bold $error"
    noise = "within noise" if earlier.is_noise else "beyond noise"
    return Content.assemble(
        (f"{100 * earlier.difference:+.1f} points at {safe(earlier.radius, 24)}", style),
        (f", {noise} ({100 * low:+.1f} to {100 * high:+.1f})", DIM),
        (f" against {safe(earlier.run, 60)}", "$foreground"),
        (f" · {_changes_text(earlier.changes)}", DIM),
    )


def _changes_text(changes: tuple[str, ...] | None) -> str:
    if changes is None:
        return "its settings cannot be read"
    if not changes:
        return "same settings"
    more = f" and {len(changes) - MAX_CHANGES} more" if len(changes) > MAX_CHANGES else ""
    return "; ".join(safe(words, 80) for words in changes[:MAX_CHANGES]) + more


def shown_path(path: Path) -> str:
    """A path as it can be typed: from the working folder where that is shorter."""
    whole = path.absolute()
    try:
        near = Path(os.path.relpath(whole))
    except OSError:  # the working folder is gone
        near = whole
    return safe(shlex.quote(str(min(near, whole, key=lambda each: len(str(each))))), 400)


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
        return Content.assemble((" · ", DIM), (UNAUDITED, "bold $warning"), (": u audits it", DIM))
    verdict = standing.removeprefix("audit ")
    return Content.assemble(
        (" · ", DIM), (standing, glyph(verdict)[1] if verdict in GLYPHS else DIM), (": V shows its card", DIM)
    )


def _plain(text: str, width: int) -> Content:
    return Content.styled(text, DIM).truncate(width, ellipsis=True)
