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
ENDED = frozenset({"FINISHED", "STOPPED", "FAILED", "DIVERGED"})
"""Status words of a run that does nothing any more."""
LEFT_ROOM = len("ends 30 Nov 14:05")


class PhaseLine(Lines):
    """The phases of the run in one line: which are done, how far the active one is, and the whole run."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state, self._moment = RunState(), Moment()
        self._shown_at: tuple[object, ...] = ()

    def show(self, state: RunState, moment: Moment) -> None:
        """Show this state from now on; what moves once a second is made once a second."""
        self._state, self._moment = state, moment
        width = self.size.width
        marks = tuple((phase.status, phase.epoch) for phase in state.phases)
        moving = int(state.elapsed) if state.phases else moment.frame
        shown_at = width, moment.word, state.finished, state.progress is None, moving, marks
        if shown_at != self._shown_at:
            self._shown_at = shown_at
            self.show_lines([header_line(state, moment, width)])

    def on_resize(self, _: Resize) -> None:
        """Make the line fit."""
        self.show(self._state, self._moment)

    def get_content_height(self, *_: object) -> int:
        """One line."""
        return 1


def header_line(state: RunState, moment: Moment, width: int) -> Content:
    """All phases in one line of `width` cells, a bar for the active one, and at the right end the whole run.

    Where there is little room the bar goes first, then titles become names, then phases that wait or are done go.
    """
    if not state.phases:
        _, text, drawn = starting_lines(moment, width, state.progress)
        return spread(text, drawn, width)
    share = Content.assemble(("run ", "$foreground 60%"), bar(run_fraction(state), 8, "$primary"))
    share = Content.assemble(share, (f" {100 * run_fraction(state):.0f}% ", "$foreground"))
    room = width - share.cell_length - 1
    active = state.active_phase
    left = time_left(active.remaining, moment) if active is not None and state.progress is not None else ""
    done = Content("") if active is None else _active_share(active, left, has_bar=True)
    brief = Content("") if active is None else _active_share(active, "", has_bar=False)
    options = [
        _phases_in_a_row(state.phases, after, has_all=has_all, has_titles=has_titles)
        for after, has_all, has_titles in (
            (done, True, True),
            (done, True, False),
            (done, False, True),
            (done, False, False),
            (brief, False, False),
            (Content(""), False, False),
        )
    ]
    return spread(fit(options, room), share, width)


def _active_share(phase: PhaseState, left: str, *, has_bar: bool) -> Content:
    drawn = bar(phase.fraction, 8, "$accent") if has_bar else Content("")
    text = f" {100 * phase.fraction:.0f}%{f' {left}' if left else ''} "
    return Content.assemble(drawn, (text, "$foreground 60%"))


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
    options = [(True, True), (True, False), (False, True), (False, False)]
    return fit(
        [
            _phases_in_a_row(phases, Content(""), has_all=has_all, has_titles=has_titles)
            for has_all, has_titles in options
        ],
        width,
    )


def _phases_in_a_row(
    phases: tuple[PhaseState, ...], after_active: Content, *, has_all: bool, has_titles: bool
) -> Content:
    def short(phase: PhaseState) -> Content:
        glyph, style = PHASE_GLYPHS[phase.status]
        is_in_view = phase.status not in {"waiting", "done"}
        if not has_all and not is_in_view:
            return Content.styled(f" {glyph}", style)
        name = safe(phase.plan.title, 40) if has_titles else safe(phase.plan.name, 30).replace("_", " ")
        epochs = f" {phase.epoch}/{phase.plan.epochs}" if is_in_view else ""
        name_style = "$foreground" if phase.status != "waiting" else "$foreground 60%"
        after = after_active if phase.status == "active" else Content("")
        return Content.assemble((f" {glyph} ", style), (f"{name}{epochs} ", name_style), after)

    return Content.assemble(*map(short, phases))


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
    """What is being done right now, and the step; of a run that has ended, where it did."""
    if moment.word in ENDED:
        return Content.styled(f"   {moment.word.lower()} at step {figures.count(state.step)}", "$foreground 60%")
    progress = state.progress
    left, step = activity(state, moment), Content.styled(f"step {figures.count(state.step)} ", "$foreground 60%")
    if moment.word != "PAUSED" and progress and (load := figures.load(progress.waited)):
        busy = Content.styled(f"{load} · ", "$warning")
        step = Content.assemble(busy, step) if width >= left.cell_length + busy.cell_length + step.cell_length else step
    if moment.word != "PAUSED" and progress and width - left.cell_length - step.cell_length >= 20:
        left = Content.assemble(left, "  ", activity_bar(progress, 12))
    return spread(left, step, width)


def activity(state: RunState, moment: Moment) -> Content:
    """What is being done right now, or that the run waits."""
    if moment.word == "PAUSED":
        return Content.styled(" ‖ paused · space goes on, nothing is lost", "bold $warning")
    doing = safe(state.progress.activity, 60) if state.progress and state.progress.activity else "training"
    waiting = {"PAUSING": "pausing: ", "STOPPING": "stopping after this step: "}.get(moment.word, "")
    return Content.assemble(
        (f" {spinner(moment.frame)} ", "$accent"), (waiting, "bold $warning"), (doing, "$foreground")
    )


def activity_bar(progress: Progressed, width: int) -> Content:
    """How far that is."""
    share = progress.activity_fraction
    return Content.assemble(bar(share, width, "$secondary"), (f" {100 * share:.0f}%", "$foreground 60%"))


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
