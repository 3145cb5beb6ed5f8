"""Where the run is: every phase, the whole run, and what is being done right now."""

from textual.content import Content
from textual.events import Resize

from claf_engine.events import Progressed
from claf_tui.state import PhaseState, RunState
from claf_tui.state.moment import Moment, run_fraction, time_left
from claf_tui.widgets.glyphs import PHASE_GLYPHS, bar, fit, spinner, spread
from claf_tui.widgets.lines import Lines
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

WIDE = 96
"""Cells from which on every phase gets a line of its own."""
LEFT_ROOM = len("ends 30 Nov 14:05")


class PhaseStrip(Lines):
    """The phases of the run; one line each on a wide screen, all in one line on a narrow one."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state, self._moment = RunState(), Moment()
        self._shown_at: tuple[object, ...] = ()
        self._slow: list[Content] = []
        self.is_compact = False

    def show(self, state: RunState, moment: Moment) -> None:
        """Show this state from now on; what moves once a second is made once a second."""
        self._state, self._moment = state, moment
        width = self.size.width
        if not state.phases:
            self.show_lines(starting_lines(moment, width, state.progress))
            return
        marks = tuple((phase.status, phase.epoch) for phase in state.phases)
        shown_at = width, self.is_compact, moment.word, state.run, state.finished, int(state.elapsed), marks
        if shown_at != self._shown_at:
            self._shown_at, self._slow = shown_at, slow_lines(state, moment, width, is_compact=self.is_compact)
        self.show_lines([*self._slow, activity_line(state, moment, width)])

    def on_resize(self, _: Resize) -> None:
        """Make the lines fit."""
        self.show(self._state, self._moment)

    def get_content_height(self, *_: object) -> int:
        """As many lines as there are; three before anything is shown."""
        return len(self._lines) or 3


def strip_lines(state: RunState, moment: Moment, width: int, *, is_compact: bool) -> list[Content]:
    """Draw the whole strip as lines of at most `width` cells."""
    if not state.phases:
        return starting_lines(moment, width, state.progress)
    return [*slow_lines(state, moment, width, is_compact=is_compact), activity_line(state, moment, width)]


def slow_lines(state: RunState, moment: Moment, width: int, *, is_compact: bool) -> list[Content]:
    """Draw the phases and the whole run, which a look every second is enough for."""
    if is_compact:
        return [phases_in_a_row(state.phases, width), run_line(state, moment, 9, width, is_compact=True)]
    room = max(14, *(len(safe(phase.plan.title, 40)) for phase in state.phases))
    phases = [phase_line(phase, room, width, _left_of(phase, state, moment)) for phase in state.phases]
    return [*phases, run_line(state, moment, room, width)]


def starting_lines(moment: Moment, width: int, loading: Progressed | None = None) -> list[Content]:
    """Say that the run is being set up, and move while doing so; show how far the images are once that is known."""
    room = max(8, min(40, width - 4))
    head = moment.frame % (room + 8)
    track = "".join("━" if head - 8 <= column < head else "─" for column in range(room))
    if moment.word not in {"STARTING", "PAUSING"}:
        return [Content(" "), Content.styled(" the run left before it began", "$foreground 60%"), Content(" ")]
    doing = safe(loading.activity, 60) if loading else "loading torch and building the data"
    text = f" {spinner(moment.frame)} starting: {doing} · {moment.waited:.0f} s"
    drawn = bar(loading.activity_fraction, room) if loading else Content.styled(track, "$accent")
    return [Content(" "), Content.styled(text, "$foreground").truncate(width, ellipsis=True), Content("   ") + drawn]


def phases_in_a_row(phases: tuple[PhaseState, ...], width: int) -> Content:
    """Name all phases in one line: by title where all fit, else by a shorter name, or some by their glyphs alone."""

    def short(phase: PhaseState, *, is_named: bool = True, has_title: bool = False) -> Content:
        glyph, style = PHASE_GLYPHS[phase.status]
        if not is_named:
            return Content.styled(f" {glyph}", style)
        name = safe(phase.plan.title, 40) if has_title else safe(phase.plan.name, 30).replace("_", " ")
        epochs = f" {phase.epoch}/{phase.plan.epochs}" if phase.status not in {"waiting", "done"} else ""
        name_style = "$foreground" if phase.status != "waiting" else "$foreground 60%"
        return Content.assemble((f" {glyph} ", style), (f"{name}{epochs} ", name_style))

    titled = Content.assemble(*(short(phase, has_title=True) for phase in phases))
    full = Content.assemble(*(short(phase) for phase in phases))
    in_view = [phase.status not in {"waiting", "done"} for phase in phases]
    some_titled = (short(phase, is_named=is_in, has_title=True) for phase, is_in in zip(phases, in_view, strict=True))
    some = (short(phase, is_named=is_in) for phase, is_in in zip(phases, in_view, strict=True))
    return fit([titled, full, Content.assemble(*some_titled), Content.assemble(*some)], width)


def phase_line(phase: PhaseState, room: int, width: int, left: str = "") -> Content:
    """One phase: glyph, title, epochs, bar, share done, elapsed time and what is left."""
    glyph, style = PHASE_GLYPHS[phase.status]
    title = safe(phase.plan.title, room).ljust(room)
    epochs = f"{phase.epoch}/{phase.plan.epochs}" if phase.plan.epochs else ""
    bright = "$foreground" if phase.status not in {"waiting", "done"} else "$foreground 60%"
    bar_style = "$accent" if phase.status == "active" else style
    name = Content.assemble((f" {glyph} ", style), (f"{title} ", bright), (f"{epochs:>9} ", bright))
    return _with_bar(name, _times(phase.fraction, phase.elapsed, left), phase.fraction, width, bar_style)


def run_line(state: RunState, moment: Moment, room: int, width: int, *, is_compact: bool = False) -> Content:
    """The whole run: bar, share done, elapsed time and what is left."""
    fraction = run_fraction(state)
    is_known = state.progress is not None and state.finished is None
    left = time_left(state.progress.run_remaining, moment) if is_known and state.progress else ""
    name = "whole run".ljust(room)
    titled = Content.styled(f" {name} " if is_compact else f"   {name} {'':>9} ", "bold")
    return _with_bar(titled, _times(fraction, state.elapsed, left), fraction, width, "$primary")


def activity_line(state: RunState, moment: Moment, width: int) -> Content:
    """What is being done right now."""
    if moment.word in {"FINISHED", "STOPPED", "FAILED", "DIVERGED"}:
        return Content.styled(f"   {moment.word.lower()} at step {figures.count(state.step)}", "$foreground 60%")
    progress = state.progress
    step = Content.styled(f"step {figures.count(state.step)} ", "$foreground 60%")
    if moment.word == "PAUSED":
        return spread(Content.styled(" ‖ paused · space goes on, nothing is lost", "bold $warning"), step, width)
    doing = safe(progress.activity, 60) if progress and progress.activity else "training"
    waiting = {"PAUSING": "pausing: ", "STOPPING": "stopping after this step: "}.get(moment.word, "")
    left = Content.assemble(
        (f" {spinner(moment.frame)} ", "$accent"), (waiting, "bold $warning"), (doing, "$foreground")
    )
    if progress and (load := figures.load(progress.waited)):
        busy = Content.styled(f"{load} · ", "$warning")
        step = Content.assemble(busy, step) if width >= left.cell_length + busy.cell_length + step.cell_length else step
    if progress and width - left.cell_length - step.cell_length >= 20:
        share = progress.activity_fraction
        left = Content.assemble(left, "  ", bar(share, 12, "$secondary"), (f" {100 * share:.0f}%", "$foreground 60%"))
    return spread(left, step, width)


def _left_of(phase: PhaseState, state: RunState, moment: Moment) -> str:
    """What is left of the phase that goes on, where that is known or being learned."""
    is_told = phase.status == "active" and state.progress is not None
    return time_left(phase.remaining, moment) if is_told else ""


def _times(fraction: float, elapsed: float, left: str) -> Content:
    times = f"{figures.duration(elapsed):>8} {left:>{LEFT_ROOM}} "
    return Content.assemble((f" {100 * fraction:3.0f}% ", "$foreground"), (times, "$foreground 60%"))


def _with_bar(left: Content, right: Content, fraction: float, width: int, style: str) -> Content:
    room = width - left.cell_length - right.cell_length
    if room < 4:
        return spread(left, right, width)
    return Content.assemble(left, bar(fraction, room, style), right)
