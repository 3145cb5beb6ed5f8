"""What phases yield besides events: the places where a run may be paused, measured, saved or left.

A phase never blocks and never looks at the clock. It yields a `Pulse` wherever it is alive inside a step (a person may
pause there), and a `Boundary` wherever its state is consistent (it may also be probed, saved or left there).
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from claf_engine.events import ClassifierRetrained, DissociationMeasured, OverfittingChecked


@dataclass(frozen=True)
class Pulse:
    """Alive inside a step or an evaluation: may be paused here, must not be saved.

    Attributes:
        activity: what is being done, for the screen, such as "PGD-10 at 8/255".
        done: units done so far out of `total`.
        abandonable: whether a stop may leave right here because nothing of the state has changed yet.
        together: whether all processes of a run come here at the same point of it, as they do at boundaries.
    """

    activity: str
    done: int = 0
    total: int = 0
    abandonable: bool = False
    together: bool = False

    @property
    def fraction(self) -> float:
        """How much is done, in [0, 1]; 0 where nobody knows of how much."""
        return self.done / self.total if self.total else 0.0


@dataclass(frozen=True)
class Boundary:
    """One optimiser step is complete and the state is consistent.

    Attributes:
        part: which loop the step belongs to, such as "encoder" or "retrain".
        loss_name: the name under which `loss` is logged.
        loss: a detached 0-d tensor, read from the device only when it is logged.
        learning_rate: of the step just taken.
        num_images: source images the step consumed.
    """

    part: str
    loss_name: str
    loss: Any
    learning_rate: float
    num_images: int


@dataclass(frozen=True)
class PartEnd:
    """One part of an epoch is complete and the cursor has moved past it; the state is consistent.

    Attributes:
        epoch_ended: the part was the epoch's last.
        phase_ended: the epoch is the phase's last although more were planned.
    """

    epoch_ended: bool = False
    phase_ended: bool = False


Tick = Pulse | Boundary | PartEnd | ClassifierRetrained | DissociationMeasured | OverfittingChecked
"""Everything that a phase yields: places to pause, consistent places, and what it measured."""

Item = TypeVar("Item")
Told = TypeVar("Told")
Result = TypeVar("Result")


def pump(
    steps: Generator[Item, None, Result], serve: Callable[[Item], Iterable[Told]]
) -> Generator[Told, None, Result]:
    """Run a generator to its end and give what it returns.

    Args:
        steps: what is run.
        serve: is called with everything that `steps` yields; what it gives is yielded in its place.
    """
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        yield from serve(item)


def retold(steps: Generator[Pulse, None, Result], change: Callable[[Pulse], Pulse]) -> Generator[Pulse, None, Result]:
    """The same steps to the same result, with every pulse changed."""
    return pump(steps, lambda pulse: (change(pulse),))


def exhaust(steps: Generator[object, None, Result]) -> Result:
    """Run a generator to its end, without the pauses, and give what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
