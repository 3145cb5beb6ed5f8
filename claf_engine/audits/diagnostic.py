"""What a diagnostic is, and what it found."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claf_engine.events.ticks import Pulse
from claf_engine.terms.names import BudgetName, Verdict

if TYPE_CHECKING:
    from claf_engine.audits.bench import Bench


ROUNDING = 1e-9
"""Of differences between shares: 0.87 - 0.86 is more than 0.01."""


class NotRun(Exception):
    """A diagnostic could not be run; the message says why. It never counts as passed."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        verdict: "passes", "warns" or "fails"; a check that cannot be run raises `NotRun`.
        figure: what was measured, for a person: "13.4 points".
        values: the same and what it was made of, as plain numbers.
    """

    verdict: Verdict
    figure: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One diagnostic, before it is run.

    Attributes:
        name: stable, for programs: "epsilon-zero".
        title: what must hold, for a person.
        threshold: where it warns and where it fails, in words.
        meaning: what it says about the figure when it does not pass, and what to do.
        source: where the check is from.
        run: asks a bench; yields pulses.
        budget: the smallest budget that affords it.
        comparisons: of figures that have a sampling error with thresholds, at most (see `claf_engine.audits.chance`).
    """

    name: str
    title: str
    threshold: str
    meaning: str
    source: str
    run: Callable[["Bench"], Generator[Pulse, None, Finding]]
    budget: BudgetName = "quick"
    comparisons: int = 1


def graded(value: float, warns: float, fails: float) -> Verdict:
    """A verdict for a figure that should be small: to `warns` it passes, above `fails` it fails, but for rounding.

    Of a figure that has a sampling error the value is its bound, `Estimate.at_least`.
    """
    if value <= warns + ROUNDING:
        return "passes"
    return "fails" if value > fails + ROUNDING else "warns"
