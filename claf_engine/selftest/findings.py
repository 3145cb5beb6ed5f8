"""What a check of the self test is, and what it found."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from claf_engine.terms.names import Verdict

if TYPE_CHECKING:  # it loads torch, which the first look at a machine must do without
    from claf_engine.selftest.places import Places


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        verdict: "passes", "warns" or "fails"; or "not-run", which never counts as passed.
        result: what that means, in a few words: "equal bit for bit".
        figure: what was measured, for a person: "3.1e-06 of at most 1e-04".
        values: the same and what it was made of, as plain numbers and texts.
    """

    verdict: Verdict
    result: str
    figure: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One check, before it is run.

    Attributes:
        name: stable, for programs: "captured-attack".
        title: what is looked at, for a person.
        advice: what to do when it does not pass.
        run: asks a places.
    """

    name: str
    title: str
    advice: str
    run: "Callable[[Places], Finding]"


@dataclass(frozen=True)
class Row:
    """A check as it is reported; `advice` is empty where it passed, but for an optional part that is not here."""

    name: str
    title: str
    result: str
    verdict: Verdict
    figure: str
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return asdict(self)


def graded(value: float, passes: float, warns: float) -> Verdict:
    """A verdict for a figure that should be small; what is not a number fails."""
    if value <= passes:
        return "passes"
    return "warns" if value <= warns else "fails"


def worst(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The verdict of several figures together."""
    order: tuple[Verdict, ...] = ("passes", "warns", "fails")
    return max(verdicts.values(), key=order.index)
