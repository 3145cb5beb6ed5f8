"""What an audit has done so far, on disk, so that an interrupted one goes on."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from claf_engine.audits.bench import Outcome, Recipe
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.records import build
from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import STATE_CAP, read_object
from claf_engine.terms.errors import ForeignFileError, MissingFile, RunError

FORMAT = 1


class Store:
    """One file that holds every finished diagnostic and outcome; rewritten whole after each.

    Args:
        path: the file, or None to keep nothing.
        key: what the audit depends on; a file of another key is begun anew.

    Attributes:
        outcomes: what was run so far.
        diagnostics: what is known so far.
        notice: what became of an earlier audit, in a sentence; empty where there was none.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path = path
        self._key = key
        self.outcomes: list[Outcome] = []
        self.diagnostics: list[DiagnosticFound] = []
        self.notice = ""
        self._read()

    def keep_outcome(self, outcome: Outcome) -> None:
        """Keep what one attack did.

        Raises:
            RunError: the file cannot be written.
        """
        self.outcomes.append(outcome)
        self._write()

    def keep_diagnostic(self, diagnostic: DiagnosticFound) -> None:
        """Keep one verdict.

        Raises:
            RunError: the file cannot be written.
        """
        self.diagnostics.append(diagnostic)
        self._write()

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            record = read_object(self._path, STATE_CAP)
            if (record["format"], record["key"]) != (FORMAT, self._key):
                self.notice = f"began anew: {self._path} held an audit of other images, settings or versions"
                return
            self.outcomes = [_to_outcome(item) for item in record["outcomes"]]
            self.diagnostics = [build(DiagnosticFound, item) for item in record["diagnostics"]]
            self.notice = f"went on from what {self._path} says was done before; delete it to begin anew"
        except MissingFile:
            return
        except (ForeignFileError, ValueError, KeyError, TypeError, AttributeError):
            self.outcomes, self.diagnostics = [], []
            self.notice = f"began anew: {self._path} is damaged"

    def _write(self) -> None:
        if self._path is None:
            return
        record = {
            "format": FORMAT,
            "key": self._key,
            "outcomes": [_from_outcome(outcome) for outcome in self.outcomes],
            "diagnostics": [asdict(diagnostic) for diagnostic in self.diagnostics],
        }
        try:
            # Not the run's own folder: one that was moved meanwhile is not made again.
            for place in (self._path.parent.parent, self._path.parent):
                place.mkdir(exist_ok=True)
            write_atomically(self._path, json.dumps(record).encode())
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror}; make room and audit again") from error


def _from_outcome(outcome: Outcome) -> dict[str, Any]:
    plain = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    digits = "".join("1" if survives else "0" for survives in outcome.survives.tolist())
    recipe = None if outcome.recipe is None else asdict(outcome.recipe)
    return {**plain, "survives": digits, "recipe": recipe}


def _to_outcome(record: dict[str, Any]) -> Outcome:
    survives = torch.tensor([digit == "1" for digit in record["survives"]], dtype=torch.bool)
    recipe = None if record["recipe"] is None else build(Recipe, record["recipe"])
    outcome: Outcome = build(Outcome, {**record, "survives": survives, "recipe": recipe})
    return outcome
