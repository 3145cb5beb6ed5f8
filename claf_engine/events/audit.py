"""What is told of an audit: what will be checked, what each check found, and the card at the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["passes", "warns", "fails", "not-run"]


@dataclass(frozen=True)
class PlannedCheck:
    """One diagnostic before it is run; the fields are those of `DiagnosticFound`."""

    name: str
    title: str
    threshold: str
    meaning: str
    source: str


@dataclass(frozen=True)
class AuditStarted:
    """The diagnostics that an audit runs, in order."""

    checks: tuple[PlannedCheck, ...]


@dataclass(frozen=True)
class DiagnosticFound:
    """What one diagnostic found.

    Attributes:
        name: stable, for programs: "epsilon-zero".
        title: what must hold, for a person.
        verdict: "not-run" where it could not be run, which never counts as passed.
        figure: what was measured, for a person; why, where it was not run.
        threshold: where it warns and where it fails, in words.
        meaning: what it says about the audited figure when it does not pass, and what to do.
        source: where the check is from.
        values: plain numbers, lists and names of which the figure was made.
        seconds: it took.
    """

    name: str
    title: str
    verdict: Verdict
    figure: str
    threshold: str
    meaning: str
    source: str
    values: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class AuditFinished:
    """The audit is done; `card` is its robustness card, a JSON object whose keys are stable."""

    card: Mapping[str, Any]
