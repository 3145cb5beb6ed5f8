"""Which phases a method consists of, as a table: `METHODS[name]` gives the phases in order.

A phase is a generator over a `Session` plus what the plan, the probe and the screen need to know about it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from claf_engine.config import RunConfig
from claf_engine.events import PhasePlan
from claf_engine.models import ADVERSARIAL, ATTACK, NATURAL
from claf_engine.phases.adversarial import adversarial
from claf_engine.phases.contrastive import contrastive
from claf_engine.phases.linear import adversarial_linear_evaluation, linear_evaluation
from claf_engine.phases.supervised import supervised
from claf_engine.session import Session
from claf_engine.ticks import Tick


@dataclass(frozen=True)
class Part:
    """One loop of a phase: how often it passes over the images in an epoch, and what one image costs.

    Costs are in forward passes of the encoder; a backward pass to the images counts 1, a full one 2.
    """

    name: str
    sweeps: int
    cost: float


@dataclass(frozen=True)
class Phase:
    """One phase of a method.

    Attributes:
        play: the loop; goes on from wherever the session's cursor stands.
        epochs: how many, from the settings.
        parts: its loops.
        classifier: the one that probes ask; None fits one for each probe.
        num_watches: measurements of the attack classifier in an epoch.
        is_frozen: the encoder stands still, so that one probe at the end says all.
    """

    name: str
    title: str
    play: Callable[[Session], Iterator[Tick]]
    epochs: int
    parts: tuple[Part, ...]
    classifier: str | None
    num_watches: int = 0
    is_frozen: bool = False

    def plan(self, steps_per_sweep: int) -> PhasePlan:
        """The phase as the run announces it."""
        steps = self.epochs * steps_per_sweep * sum(part.sweeps for part in self.parts)
        return PhasePlan(self.name, self.title, self.epochs, steps)


def phases_of(config: RunConfig) -> tuple[Phase, ...]:
    """The phases of the configured method, in order; phases of no epochs are left out."""
    return tuple(phase for phase in METHODS[config.method](config) if phase.epochs > 0)


def _claf(config: RunConfig) -> tuple[Phase, ...]:
    steps = config.attack.steps
    retrain = Part("retrain", config.adversarial.classifier_epochs, 2 * steps + 1)
    evaluation = config.linear_evaluation
    return (
        Phase(
            "contrastive",
            "1 · supervised contrastive",
            contrastive,
            config.contrastive.epochs,
            (Part("encoder", 1, 6),),
            None,
        ),
        Phase(
            "adversarial",
            "2 · adversarial features",
            adversarial,
            config.adversarial.epochs,
            (retrain, Part("encoder", 1, 2 * steps + 9)),
            ATTACK,
            num_watches=2,
        ),
        Phase(
            "linear_evaluation",
            "3 · linear evaluation",
            linear_evaluation,
            evaluation.epochs,
            (Part("natural", 1, 0.02),),
            NATURAL,
            is_frozen=True,
        ),
        Phase(
            "adversarial_linear_evaluation",
            "3 · adversarial linear eval",
            adversarial_linear_evaluation,
            evaluation.adversarial_epochs,
            (Part("adversarial", 1, 2 * evaluation.adversarial_steps + 1),),
            ADVERSARIAL,
            is_frozen=True,
        ),
    )


def _natural(config: RunConfig) -> tuple[Phase, ...]:
    epochs = config.supervised.epochs
    return (Phase("supervised", "supervised", supervised, epochs, (Part("supervised", 1, 3),), NATURAL),)


METHODS: dict[str, Callable[[RunConfig], tuple[Phase, ...]]] = {"claf": _claf, "natural": _natural}
