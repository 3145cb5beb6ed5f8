"""The record of a run: events as JSON lines in two files with one common numbering.

`metrics.jsonl` holds what is plotted, `events.jsonl` everything else; each line carries `seq`, its place in the whole.
A checkpoint remembers how many records came before it, so that a resumed run drops exactly those it will make again.
"""

import contextlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.events.records import from_record, to_record
from claf_engine.runs.durable import write_parts_atomically
from claf_engine.runs.foreign import open_foreign, parse_json
from claf_engine.runs.lines import whole_lines
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
                num_dropped += self._repair(path, keep)
                self._files[name] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            except OSError as error:
                raise RunError(f"cannot write {path}: {error.strerror}") from error
            except ForeignFileError as error:
                raise RunError(str(error)) from error
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

    def _repair(self, path: Path, keep: int | None) -> int:
        """Leave in a file the whole lines that are kept, and count; gives how many records were dropped."""
        num_dropped = num_bytes = 0
        is_kept = bytearray()
        for line in _read_lines(path):
            place = place_of(line)
            is_kept.append(place is not None and (keep is None or place < keep))
            if place is None:
                self.num_damaged += 1
            elif not is_kept[-1]:
                num_dropped += 1
            else:
                num_bytes += len(line) + 1
                self.num_records = max(self.num_records, place + 1)
        # Where nothing was dropped, the file is as long as the lines that are kept, and is left alone.
        if path.exists() and path.stat().st_size != num_bytes:
            write_parts_atomically(path, (line + b"\n" for line in itertools.compress(_read_lines(path), is_kept)))
        return num_dropped


def count_records(directory: Path) -> int:
    """How many records of a run there are, when they show that it has trained; else 0.

    A run that failed before its first step has records too, with nothing in them to go on with.

    Raises:
        OSError: a file cannot be read.
    """
    metrics = sum(1 for _ in read_records(directory / METRICS))
    others = Counter(record.get("type") == ev.CheckpointSaved.__name__ for record in read_records(directory / EVENTS))
    return metrics + others.total() if metrics or others[True] else 0


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read records line by line; a torn last line and lines that are not records are left out.

    Raises:
        ForeignFileError: it is no regular file, or cannot be read.
    """
    return (record for line in _read_lines(path) if (record := record_of(line)) is not None)


def place_of(line: bytes) -> int | None:
    """The place in the whole of the record on a line; None where the line holds none."""
    record = record_of(line)
    return None if record is None else int(record["seq"])


def record_of(line: bytes) -> dict[str, Any] | None:
    """The record on a line: a JSON object with its place in the whole; None where the line holds none."""
    if not line:
        return None
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
    """Read all events of a run directory, in the order they happened; records of unknown types are left out.

    All of them are in memory at once; for a run of any length see `streaming`.
    """
    found: list[ev.Event] = []
    records = (record for name in (METRICS, EVENTS) for record in read_records(directory / name))
    for record in sorted(records, key=itemgetter("seq")):
        try:
            found.append(from_record(record))
        except ValueError:
            continue
    return found


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
