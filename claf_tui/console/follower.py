"""Follows the files of a run that another process writes, as events for the console."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs import is_live, list_checkpoints, summarise
from claf_engine.runs.journal import EVENTS, METRICS
from claf_engine.runs.streaming import Passage, Thinner
from claf_engine.runs.tail import Tail
from claf_engine.terms.errors import RunError
from claf_tui.state.other_run import MAX_STEPS
from claf_tui.words import figures

POLL_SECONDS = 0.5
SILENCE_SECONDS = 10.0
"""Seconds without a sign of life after which the run's lock is looked at."""
PROGRESS_FIELDS = {spec.name: spec.default is MISSING for spec in fields(ev.Progressed)}
"""Of a status file; whether earlier code wrote them too."""


class Follower:
    """An engine for the console that only reads: first all there is, then what is added, until the run ends.

    Args:
        directory: the run's folder.
        poll_seconds: between two looks.
        max_steps: how many logged steps of one look are handed on, about; of more an even choice, which is said.
    """

    def __init__(self, directory: Path, poll_seconds: float = POLL_SECONDS, max_steps: int = MAX_STEPS) -> None:
        self._directory = directory
        self._poll_seconds = poll_seconds
        self._max_steps = max_steps
        self._tails = _tails(directory)
        self._progress: ev.Progressed | None = None
        self._has_ended = False

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the run's events as they appear."""
        heard = time.monotonic()
        while not control.stop_requested:
            for event in takewhile(lambda _event: not control.stop_requested, self._look()):
                heard = time.monotonic()
                yield event
            if self._has_ended:
                return
            if time.monotonic() - heard > SILENCE_SECONDS and not is_live(self._directory):
                yield self._interrupted()
                return
            time.sleep(self._poll_seconds)

    def _look(self) -> Iterator[ev.Event]:
        """What is new since the last look; all of it, when a resumed run has dropped records."""
        if any(tail.was_replaced() for tail in self._tails):
            self._tails = _tails(self._directory)
        passage, thinners = Passage(), [Thinner(tail.num_added(), self._max_steps) for tail in self._tails]
        pairs = zip(thinners, self._tails, strict=True)
        events = passage.events([thinner.thinned(tail.batches()) for thinner, tail in pairs])
        last: ev.Event | None = None
        for event in events:
            if last is not None:
                yield last
            last = here(event, self._directory)
        yield from passed_over(passage.num_damaged, thinners)
        if last is not None:
            yield last
            self._has_ended = isinstance(last, ev.RunFinished)
        if not self._has_ended and (progress := progress_of(summarise(self._directory).record)) != self._progress:
            self._progress = progress
            if progress is not None:
                yield progress

    def _interrupted(self) -> ev.RunFinished:
        step, elapsed = (self._progress.step, self._progress.elapsed) if self._progress else (0, 0.0)
        reason = "its process ended without saying why"
        try:
            checkpoints = list_checkpoints(self._directory)
        except RunError as error:
            return ev.RunFinished("stopped", step, elapsed, reason=f"{reason}; {error}")
        newest = next((str(entry.path) for entry in checkpoints if entry.info is not None), None)
        if checkpoints and newest is None:
            reason += f"; no checkpoint of it can be read: {checkpoints[0].error}"
        return ev.RunFinished("stopped", step, elapsed, reason=reason, checkpoint=newest)


def passed_over(num_damaged: int, thinners: Iterable[Thinner]) -> list[ev.Notice]:
    """Say what of a journal was not handed on; nothing where all was."""
    found = []
    if num_damaged:
        found.append(ev.Notice("warning", f"passed over {figures.lost_lines(num_damaged)} in the run's journal"))
    for thinner in thinners:
        if num_left_out := thinner.num_steps - thinner.num_kept:
            share = f"curves are drawn from 1 in {thinner.stride} of their steps: {num_left_out} of {thinner.num_steps}"
            text = f"{share} logged steps were passed over unread; the run's own files are complete"
            found.append(ev.Notice("info", text))
    return found


def here(event: ev.Event, directory: Path) -> ev.Event:
    """The same event with paths in the folder that is followed; the journal of a copied run names the original's."""
    match event:
        case ev.RunStarted():
            return replace(event, run=directory.name, directory=str(directory))
        case ev.CheckpointSaved():
            return replace(event, path=str(directory / "checkpoints" / Path(event.path).name))
        case ev.RunFinished(checkpoint=str(path)):
            return replace(event, checkpoint=str(directory / "checkpoints" / Path(path).name))
    return event


def progress_of(record: Mapping[str, Any]) -> ev.Progressed | None:
    """The progress that a run's status file tells of, if any."""
    if not all(name in record for name, is_always_there in PROGRESS_FIELDS.items() if is_always_there):
        return None
    return ev.Progressed(**{name: record[name] for name in PROGRESS_FIELDS if name in record})


def _tails(directory: Path) -> list[Tail]:
    return [Tail(directory / name) for name in (METRICS, EVENTS)]
