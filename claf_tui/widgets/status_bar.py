"""The first line: which run this is, what it is doing in one word, and how long it has been at it."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.widgets.glyphs import fit, spread
from claf_tui.words import figures
from claf_tui.words.pauses import coming_pause
from claf_tui.words.safe_text import safe

WORD_STYLES = {
    "STARTING": "bold $background on $secondary",
    "RUNNING": "bold $background on $success",
    "ASKED": "bold $background on $secondary",
    "PAUSING": "bold $background on $warning",
    "PAUSED": "bold $background on $warning",
    "STOPPING": "bold $background on $warning",
    "STOPPED": "bold $background on $warning",
    "FINISHED": "bold $background on $success",
    "FAILED": "bold $background on $error",
    "DIVERGED": "bold $background on $error",
}


class StatusBar(Widget):
    """Shows the status word, which nobody should miss; `word` may be set straight from a key press."""

    word: reactive[str] = reactive("STARTING")

    def __init__(self, *, read_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._state = RunState()
        self._now = 0.0

    def show(self, state: RunState, moment: Moment) -> None:
        """Show this state from now on."""
        drawn = _shown(self._state, self._now)
        self._state, self._now, self.word = state, moment.now, moment.word
        if drawn != _shown(state, moment.now):
            self.refresh()

    def render(self) -> Content:
        """Draw the line."""
        moment = Moment(self.word, now=self._now)
        return status_line(self._state, moment, self.size.width, read_only=self._read_only)


def status_line(state: RunState, moment: Moment, width: int, *, read_only: bool = False) -> Content:
    """Write the status word, the run, its epoch, its clock and when it ends into one line of `width` cells."""
    word = moment.word
    word_style = WORD_STYLES.get(word, "bold reverse")
    badge = Content.styled(f" {word} ", word_style)
    title = Content.styled(" watching " if read_only else " claf-tui ", "bold $primary")
    facts = _facts(state)
    clock = _clock(state, moment)
    room = width - clock.cell_length - 1
    left = fit([Content.assemble(badge, title, *facts[:count]) for count in range(len(facts), -1, -1)], room)
    return spread(left, clock, width)


def _clock(state: RunState, moment: Moment) -> Content:
    if state.run is None:
        return Content("")
    remaining = state.progress.run_remaining if state.progress and state.finished is None else None
    is_on = moment.word in {"RUNNING", "STOPPING"} and moment.now > 0
    pause = _coming_pause(state)  # a run that is to wait does not end when it would
    end = pause or (figures.end_time(remaining, moment.now) if is_on else "")
    style = "$warning" if pause else "$foreground"
    return Content.assemble(
        (figures.duration(state.elapsed), "$foreground 60%"), (f" · {end}" if end else "", style), " "
    )


def _facts(state: RunState) -> list[Content]:
    if state.run is None:
        return []
    run, active = state.run, state.active_phase
    epoch = f" · epoch {active.epoch}/{active.plan.epochs}" if active is not None and active.plan.epochs else ""
    return [
        Content.styled(f" {safe(run.run, 40)}", "$foreground"),
        Content.styled(epoch, "$foreground"),
        Content.styled(f" · {safe(run.method, 20)} on {safe(run.data, 40)}", "$foreground 60%"),
        Content.styled(f" · {figures.short_count(run.num_parameters)} parameters · seed {run.seed}", "$foreground 60%"),
    ]


def _coming_pause(state: RunState) -> str:
    """When the run is to pause, while it goes on."""
    progress = state.progress
    return "" if progress is None or state.finished else coming_pause(progress.pause_unit, progress.pause_count)


def _shown(state: RunState, now: float) -> tuple[object, ...]:
    """What the line depends on, as coarsely as it writes it."""
    pause, has_progress = _coming_pause(state), state.progress is not None
    return state.run, state.finished, int(state.elapsed), state.phases, has_progress, pause, int(now / 60)
