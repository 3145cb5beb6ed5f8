"""The record of a run: events as JSON lines in two files with one common numbering.

`metrics.jsonl` holds what is plotted, `events.jsonl` everything else; each line carries `seq`, its place in the whole.
A checkpoint remembers how many records came before it, so that a resumed run drops exactly those it will make again.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.events.records import from_record, to_record
from claf_engine.runs.durable import write_atomically
from claf_engine.terms.errors import RunError

METRICS, EVENTS = "metrics.jsonl", "events.jsonl"
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
    """Appends events to the two files of a run directory; `num_records` is the next place in the whole."""

    def __init__(self, directory: Path) -> None:
        self._paths = {name: directory / name for name in (METRICS, EVENTS)}
        self._files: dict[str, int] = {}
        self.num_records = 0

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
        self.num_records = 0
        for name, path in self._paths.items():
            try:
                records = list(read_records(path))
                kept = [record for record in records if keep is None or record["seq"] < keep]
                num_dropped += len(records) - len(kept)
                self._rewrite(path, kept)
                self._files[name] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            except OSError as error:
                raise RunError(f"cannot write {path}: {error.strerror}") from error
            self.num_records = max([self.num_records, *(record["seq"] + 1 for record in kept)])
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
    def _rewrite(path: Path, records: list[dict[str, Any]]) -> None:
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        if path.exists() and path.read_bytes() == data:
            return
        if path.exists() or records:
            write_atomically(path, data)


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
    """Read records line by line; a torn last line and lines that are not records are left out."""
    if path.exists():
        with path.open("rb") as file:
            yield from parse_records(file)


def parse_records(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Read records from lines: JSON objects with their place in the whole; everything else is left out."""
    for line in lines:
        if not line.endswith(b"\n"):
            return
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("seq"), int):
            yield record


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
