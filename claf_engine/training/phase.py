"""A phase: a generator over a `Session`, plus what the plan, the probe and the screen need to know about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from claf_engine.events import PhasePlan
from claf_engine.events.ticks import Tick
from claf_engine.training.costs import Part, units_of_epoch
from claf_engine.training.session import Session


@dataclass(frozen=True)
class Phase:
    """One phase of a method.

    Attributes:
        play: the loop; goes on from wherever the session's cursor stands.
        epochs: how many, from the settings.
        parts: its loops.
        classifier: the one that probes ask; None fits one for each probe.
        num_watches: how often the phase measures on its own in an epoch.
        watch_steps: steps of each attack of one such measurement.
        trains_features: it steps encoder and projection head by their common schedule.
        is_frozen: the encoder stands still, so that one probe at the end says all.
        terms: which of the settings `objective` it heeds.
        contrasts: its loss compares projections of features as well.
    """

    name: str
    title: str
    play: Callable[[Session], Iterator[Tick]]
    epochs: int
    parts: tuple[Part, ...]
    classifier: str | None
    num_watches: int = 0
    watch_steps: tuple[int, ...] = ()
    trains_features: bool = False
    is_frozen: bool = False
    terms: tuple[str, ...] = ()
    contrasts: bool = False

    @property
    def units_per_epoch(self) -> float:
        """Forward-units that one training image costs in an epoch, counted as `Part` does."""
        return units_of_epoch(self.parts)

    def plan(self, steps_per_sweep: int) -> PhasePlan:
        """The phase as the run announces it."""
        steps = self.epochs * sum(part.steps(steps_per_sweep) for part in self.parts)
        return PhasePlan(self.name, self.title, self.epochs, steps)
