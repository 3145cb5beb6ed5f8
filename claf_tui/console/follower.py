"""Follows the files of a run that another process writes, as events for the console."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs import is_live, summarise
from claf_engine.runs.foreign import LINE_CAP, open_foreign
from claf_engine.runs.journal import EVENTS, METRICS, events_of, parse_records
from claf_engine.terms.errors import ForeignFileError

POLL_SECONDS = 0.5
SILENCE_SECONDS = 10.0
"""Seconds without a sign of life after which the run's lock is looked at."""
PROGRESS_FIELDS = {spec.name: spec.default is MISSING for spec in fields(ev.Progressed)}
"""Of a status file; whether earlier code wrote them too."""


class Follower:
    """An engine for the console that only reads: first all there is, then what is added, until the run ends."""

    def __init__(self, directory: Path, poll_seconds: float = POLL_SECONDS) -> None:
        self._directory = directory
        self._poll_seconds = poll_seconds
        self._tails = _tails(directory)
        self._progress: ev.Progressed | None = None
        self._has_ended = False

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the run's events as they appear."""
        heard = time.monotonic()
        while not control.stop_requested:
            found = self._look()
            yield from found
            if found:
                heard = time.monotonic()
            elif self._has_ended:
                return
            elif time.monotonic() - heard > SILENCE_SECONDS and not is_live(self._directory):
                yield self._interrupted()
                return
            time.sleep(self._poll_seconds)

    def _look(self) -> list[ev.Event]:
        """What is new since the last look; all of it, when a resumed run has dropped records."""
        if any(tail.was_replaced() for tail in self._tails):
            self._tails = _tails(self._directory)
        lines = [line for tail in self._tails for line in tail.read()]
        found = [here(event, self._directory) for event in events_of(parse_records(lines))]
        if num_lost := len(lines) - len(found):
            lost = "1 line that tells" if num_lost == 1 else f"{num_lost} lines that tell"
            found.insert(0, ev.Notice("warning", f"passed over {lost} nothing in the run's journal"))
        if found:
            self._has_ended = isinstance(found[-1], ev.RunFinished)
        if not self._has_ended and (progress := progress_of(summarise(self._directory).record)) != self._progress:
            self._progress = progress
            found += [progress] if progress is not None else []
        return found

    def _interrupted(self) -> ev.RunFinished:
        step, elapsed = (self._progress.step, self._progress.elapsed) if self._progress else (0, 0.0)
        reason = "its process ended without saying why; resume the run to go on from its last checkpoint"
        return ev.RunFinished("stopped", step, elapsed, reason=reason)


class Tail:
    """Reads the whole lines that were added to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0

    def was_replaced(self) -> bool:
        """Whether the file is another one than before, or lost its end."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        return self._inode not in (0, status.st_ino) or status.st_size < self._offset

    def read(self) -> list[bytes]:
        """The new lines; one that is not whole yet waits."""
        try:
            with open_foreign(self._path) as file:
                self._inode = os.fstat(file.fileno()).st_ino
                file.seek(self._offset)
                added = file.read()
        except (OSError, ForeignFileError):
            return []
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [b"\n" if len(line) > LINE_CAP else line + b"\n" for line in whole.split(b"\n")[:-1]]


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
