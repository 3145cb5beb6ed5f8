"""The record of a run: events as JSON lines in two files with one common numbering.

`metrics.jsonl` holds what is plotted, `events.jsonl` everything else; each line carries `seq`, its place in the whole.
A checkpoint remembers how many records came before it, so that a resumed run drops exactly those it will make again.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.events.records import from_record, to_record
from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import open_foreign, parse_json, whole_lines
from claf_engine.terms.errors import ForeignFileError, MissingFile, RunError

METRICS, EVENTS = "metrics.jsonl", "events.jsonl"
MAX_PLACE = 2**53
"""No run has so many records."""
_METRIC_EVENTS = (
    ev.StepLogged,
    ev.EpochFinished,
    ev.ClassifierRetrained,
    ev.DissociationMeasured,
    ev.OverfittingChecked,
    ev.ProbeFinished,
    ev.SentinelsChecked,
)


class Journal:
    """Appends events to the two files of a run directory.

    Attributes:
        num_records: the next place in the whole.
        num_damaged: whole lines that opening them dropped, because they are no records.
    """

    def __init__(self, directory: Path) -> None:
        self._paths = {name: directory / name for name in (METRICS, EVENTS)}
        self._files: dict[str, int] = {}
        self.num_records = 0
        self.num_damaged = 0

    def open(self, *, keep: int | None = None) -> int:
        """Open both files for appending, after repairing a torn tail.

        Args:
            keep: drop every record whose `seq` is not below this; None keeps all.

        Returns:
            How many whole records were dropped.

        Raises:
            RunError: a file cannot be read or written.
        """
        num_dropped = 0
        self.close()
        self.num_records = self.num_damaged = 0
        for name, path in self._paths.items():
            try:
                lines = list(_read_lines(path))
                places = [place_of(line) for line in lines]
                kept = [place is not None and (keep is None or place < keep) for place in places]
                self.num_damaged += places.count(None)
                num_dropped += kept.count(False) - places.count(None)
                self._rewrite(path, b"".join(itertools.compress(lines, kept)))
                self._files[name] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            except OSError as error:
                raise RunError(f"cannot write {path}: {error.strerror}") from error
            except ForeignFileError as error:
                raise RunError(str(error)) from error
            for place in itertools.compress(places, kept):
                self.num_records = max(self.num_records, (place or 0) + 1)
        return num_dropped

    def set_aside(self) -> tuple[str, ...]:
        """Rename the files of a run that begins anew, so that nothing of them is lost; call it before `open`.

        Returns:
            Their new names; of files that are missing or empty there are none.

        Raises:
            RunError: one cannot be renamed.
        """
        found = [path for path in self._paths.values() if path.exists() and path.stat().st_size]
        number = 1
        while any(path.with_name(f"{path.stem}.before-restart-{number}.jsonl").exists() for path in found):
            number += 1
        renamed = [path.with_name(f"{path.stem}.before-restart-{number}.jsonl") for path in found]
        try:
            for old, new in zip(found, renamed, strict=True):
                old.rename(new)
        except OSError as error:
            raise RunError(f"cannot keep the records of {found[0].parent}: {error.strerror}") from error
        return tuple(path.name for path in renamed)

    @property
    def is_open(self) -> bool:
        """Whether events can be appended."""
        return self._files.keys() == self._paths.keys()

    def append(self, event: ev.Event) -> None:
        """Write one event as one line.

        Raises:
            RunError: the disk is full, or the file cannot be written.
        """
        name = METRICS if isinstance(event, _METRIC_EVENTS) else EVENTS
        line = json.dumps({"seq": self.num_records, **to_record(event)}, allow_nan=False)
        try:
            _write_all(self._files[name], f"{line}\n".encode())
        except OSError as error:
            raise RunError(
                f"cannot write {self._paths[name]}: {error.strerror}; the last checkpoint is whole, "
                "make room and resume the run"
            ) from error
        self.num_records += 1

    def sync(self) -> None:
        """Make everything appended so far durable.

        Raises:
            OSError: a file cannot be flushed; the other one was tried too.
        """
        failures: list[OSError] = []
        for descriptor in self._files.values():
            try:
                os.fsync(descriptor)
            except OSError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def close(self) -> None:
        """Close both files; that a disk complains even then changes nothing any more."""
        for descriptor in self._files.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._files.clear()

    @staticmethod
    def _rewrite(path: Path, whole: bytes) -> None:
        """Leave the whole lines alone that are kept; what was dropped makes the file longer than they are."""
        if path.exists() and path.stat().st_size != len(whole):
            write_atomically(path, whole)


def count_records(directory: Path) -> int:
    """How many records of a run there are, when they show that it has trained; else 0.

    A run that failed before its first step has records too, with nothing in them to go on with.

    Raises:
        OSError: a file cannot be read.
    """
    metrics = sum(1 for _ in read_records(directory / METRICS))
    others = [record.get("type") for record in read_records(directory / EVENTS)]
    return metrics + len(others) if metrics or ev.CheckpointSaved.__name__ in others else 0


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read records line by line; a torn last line and lines that are not records are left out.

    Raises:
        ForeignFileError: it is no regular file, or cannot be read.
    """
    return parse_records(_read_lines(path))


def parse_records(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Read records from lines: JSON objects with their place in the whole; everything else is left out."""
    for line in lines:
        if not line.endswith(b"\n"):
            return
        if (record := _record(line)) is not None:
            yield record


def place_of(line: bytes) -> int | None:
    """The place in the whole of the record on a line; None where the line holds none."""
    record = _record(line)
    return None if record is None else int(record["seq"])


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = parse_json(line)
    except ValueError:
        return None
    place = record.get("seq") if isinstance(record, dict) else None
    is_place = isinstance(place, int) and not isinstance(place, bool) and 0 <= place < MAX_PLACE
    return record if is_place else None


def _read_lines(path: Path) -> Iterator[bytes]:
    try:
        with open_foreign(path) as file:
            yield from whole_lines(file)
    except MissingFile:
        return


def read_events(directory: Path) -> list[ev.Event]:
    """Read all events of a run directory, in the order they happened; records of unknown types are left out."""
    return events_of(record for name in (METRICS, EVENTS) for record in read_records(directory / name))


def events_of(records: Iterable[Mapping[str, Any]]) -> list[ev.Event]:
    """Events in the order they happened; records of unknown types are left out."""
    found: list[ev.Event] = []
    for record in sorted(records, key=lambda record: int(record["seq"])):
        try:
            found.append(from_record(record))
        except ValueError:
            continue
    return found


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
