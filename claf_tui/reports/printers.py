"""What a run prints when there is no console: lines for a person, or JSON lines for a program.

`print_events` plays an engine in this thread and hands each of its events to one of them.
"""

import time
from collections.abc import Callable, Iterator

from claf_engine import events as ev
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_tui.reports import output
from claf_tui.reports.streams import OutputLost
from claf_tui.state import RunState, reduce
from claf_tui.words import attack_words, figures
from claf_tui.words.pauses import coming_pause
from claf_tui.words.safe_text import safe

PROGRESS_INTERVAL, LIVE_INTERVAL = 5.0, 0.2
"""Seconds between two progress lines: for a person, and for another program that draws them."""


class PlainPrinter:
    """Writes what happens as lines, and every few seconds where the run is."""

    def __init__(
        self,
        write: Callable[[str], None] = output.note,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._clock = clock
        self._wall_clock = wall_clock
        self._state = RunState()
        self._step: ev.StepLogged | None = None
        self._next_progress = 0.0
        self._told: set[str] = set()

    def __call__(self, event: ev.Event) -> None:
        """Write what there is to say about one event."""
        before = self._state.num_log_lines
        self._state = reduce(self._state, event)
        new_lines = self._state.log[len(self._state.log) - (self._state.num_log_lines - before) :]
        if not (isinstance(event, ev.RunFinished) and event.has_failed):  # whoever runs the engine says why
            for line in new_lines:
                word = "ALERT" if isinstance(event, ev.Alert) else line.level
                self._write(line.text if line.level == "info" else f"{word}: {line.text}")
        for text in [*details(event), *reminders(event, self._state), *self._new_notices(event)]:
            self._write(text)
        if isinstance(event, ev.StepLogged):
            self._step = event
        if isinstance(event, ev.Progressed) and self._clock() >= self._next_progress:
            self._next_progress = self._clock() + PROGRESS_INTERVAL
            self._write(progress_line(event, self._step, self._state, self._wall_clock()))

    def _new_notices(self, event: ev.Event) -> list[str]:
        """Why figures cannot be right; of probes, whose attack is always the same, each sentence once."""
        match event:
            case ev.ProbeFinished():
                found = [text for text in attack_words.notices(event.robust) if text not in self._told]
                self._told.update(found)
            case ev.RunFinished():
                found = attack_words.notices(figure for result in event.results for figure in result.robust)
            case _:
                return []
        return [f"warning: {text}" for text in found]


def json_line(event: ev.Event) -> None:
    """Write an event as one line of JSON; progress is left out, as in the run's own files."""
    if not isinstance(event, ev.Progressed):
        output.record(records.to_record(event), is_line=True)


class LiveJsonPrinter:
    """Writes events as lines of JSON, progress among them a few times a second: for a console in another process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_progress = 0.0

    def __call__(self, event: ev.Event) -> None:
        """Write one event."""
        if isinstance(event, ev.Progressed):
            if self._clock() < self._next_progress:
                return
            self._next_progress = self._clock() + LIVE_INTERVAL
        output.record(records.to_record(event), is_line=True)


def details(event: ev.Event) -> list[str]:
    """What a person wants to know beyond the console's log line."""
    match event:
        case ev.RunStarted():
            images = f"{event.num_train:,} train, {event.num_validation:,} validation, {event.num_test:,} test images"
            arithmetic = f"{safe(event.precision, 20)} {safe(event.layout, 20)}"
            network = f"{event.num_parameters:,} parameters, {arithmetic}, {figures.threads(event.threads)}"
            return [f"{images}; {network}; seed {event.seed}", f"folder {safe(event.directory, 400)}"]
        case ev.ClassifierRetrained():
            accuracy = f"{figures.percent(event.before)} → {figures.percent(event.after)}"
            return [f"epoch {event.epoch}: classifier retrained, {accuracy} on adversarial examples"]
        case ev.DissociationMeasured():
            points = f"{100 * event.dissociation:.1f} points"
            accuracy = f"{figures.percent(event.fitted)} → {figures.percent(event.moved)}"
            return [f"epoch {event.epoch}: dissociation {points}, {accuracy} after the encoder moved"]
        case _:
            return []


def reminders(event: ev.Event, state: RunState) -> list[str]:
    """When a run ends, its alerts once more: they may have scrolled away."""
    if not isinstance(event, ev.RunFinished):
        return []
    return [f"ALERT of step {figures.count(alert.step)}: {alert.text}" for alert in state.alerts]


def progress_line(progress: ev.Progressed, step: ev.StepLogged | None, state: RunState, now: float) -> str:
    """Where the run is: phase, epoch, step, loss, speed, estimates; `now` are seconds since the epoch."""
    titles = [phase.plan.title for phase in state.phases]
    title = titles[progress.phase] if 0 <= progress.phase < len(titles) else ""
    eta = "" if progress.phase_remaining is None else f"eta {figures.duration(progress.phase_remaining)}"
    if not progress.epochs:
        return "  ".join(filter(None, (safe(title, 40), safe(progress.activity), eta)))
    parts = [safe(title, 40), f"epoch {progress.epoch}/{progress.epochs}", f"step {progress.step}"]
    if step is not None and step.phase == progress.phase:
        parts.append(f"{safe(step.loss_name, 20)} {figures.figure(step.loss)}")
    if progress.images_per_second is not None:
        parts.append(f"{figures.count(progress.images_per_second)} img/s")
    parts.append(eta)
    parts.append(f"run {figures.percent(progress.run_fraction, 0)} {_run_eta(progress.run_remaining, now)}")
    return "  ".join(
        filter(None, (*parts, coming_pause(progress.pause_unit, progress.pause_count), figures.load(progress.waited)))
    )


def _run_eta(remaining: float | None, now: float) -> str:
    if remaining is None:
        return figures.CALIBRATING
    return ", ".join(filter(None, (f"eta {figures.duration(remaining)}", figures.end_time(remaining, now))))


def print_events(events: Iterator[ev.Event], show: Callable[[ev.Event], None], control: Control) -> OutputLost | None:
    """Show events; when nobody can read them any more, stop the run and let it save.

    Returns:
        Why nobody could, or None where all were shown.
    """
    lost: OutputLost | None = None
    for event in events:
        if lost is not None:
            continue
        try:
            show(event)
        except OutputLost as error:
            lost = error
            control.stop()
    return lost
