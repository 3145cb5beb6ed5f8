"""Defences that stand before a classifier when it is measured, and the two attackers who each is measured under.

Preprocessing often has a gradient of zero, or none that leads anywhere, which stops an attack without making the
classifier robust. So a defended classifier is attacked twice: by an attacker who does not know of the defence, and by
one who does, and who takes what has no gradient for the identity (backward pass differentiable approximation, Athalye,
Carlini and Wagner 2018).
"""

from abc import abstractmethod
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.universal import UniversalSuite, suite_steps
from claf_engine.compute.device import Compute
from claf_engine.data import Split
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, retold
from claf_engine.models.folding import fold

OBLIVIOUS = "oblivious"
ADAPTIVE = "adaptive"


class Defence(Protocol):
    """What stands before a classifier; its text is its name in figures."""

    @abstractmethod
    def __str__(self) -> str:
        """As it is asked for, such as "bit-depth:4"."""

    @abstractmethod
    def guarded(self, model: nn.Module) -> nn.Module:
        """The classifier behind the defence.

        Args:
            model: images (N, C, H, W) in [0, 1] to logits (N, K).

        Returns:
            A module of the same form. Its gradient is that of an attacker who knows of the defence.
        """

    def oblivious(self, model: nn.Module) -> nn.Module:
        """What an attacker takes gradients of who does not know of the defence: by default the classifier itself."""
        return model


class _StraightThrough(torch.autograd.Function):
    """Changed images forwards, the identity backwards."""

    @staticmethod
    def forward(_: Any, images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        return change(images)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class Preprocessed(nn.Module):
    """A classifier that sees changed images; its gradient passes the change as if that were the identity."""

    def __init__(self, model: nn.Module, defence: Defence, change: Callable[[Tensor], Tensor]) -> None:
        """Put `change`, from images (N, C, H, W) in [0, 1] to such images, before a classifier."""
        super().__init__()
        self.model = model
        self.defence = defence
        self.change = change

    def extra_repr(self) -> str:
        """The defence, which the weights do not tell."""
        return str(self.defence)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K) of the changed images."""
        logits: Tensor = self.model(_StraightThrough.apply(images, self.change))
        return logits


def defended_steps(
    model: nn.Module,
    defence: Defence,
    split: Split,
    suite: AttackSuite | UniversalSuite,
    compute: Compute,
    batch_size: int = 250,
) -> Generator[Pulse, None, Accuracy]:
    """Measure a classifier behind a defence: naturally, and under both attackers at every radius.

    Both attackers are always run, and their figures stand as measured: neither is derived from the other.

    Args:
        model: the classifier, images in [0, 1] to logits.
        defence: what stands before it.
        split: what to measure on.
        suite: the attack.
        compute: where; its precision is ignored.
        batch_size: examples attacked at once.

    Returns:
        Natural accuracy with the defence, and for each radius the oblivious figure followed by the adaptive one.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: see `accuracy_steps`.
    """
    defended, folded = defence.guarded(model), fold(model)
    targets = {OBLIVIOUS: defence.oblivious(folded), ADAPTIVE: defence.guarded(folded)}
    for module in (defended, *targets.values()):
        compute.place(module)
    columns: list[tuple[RobustFigure, ...]] = []
    outcomes: list[tuple[Tensor, ...]] = []
    for knowledge, target in targets.items():
        steps = suite_steps(defended, split, suite, compute, batch_size, target)
        measured = yield from _named(steps, knowledge)
        columns.append(labelled(measured, defence, knowledge).robust)
        outcomes.append(measured.outcomes)
    robust = tuple(figure for pair in zip(*columns, strict=True) for figure in pair)
    return replace(
        measured, robust=robust, outcomes=tuple(mask for pair in zip(*outcomes, strict=True) for mask in pair)
    )


def labelled(measured: Accuracy, defence: Defence, knowledge: str) -> Accuracy:
    """The same figures, which say what stood before the classifier and whether the attacker knew of it."""
    figures = (replace(figure, defence=str(defence), knowledge=knowledge) for figure in measured.robust)
    return replace(measured, robust=tuple(figures))


def _named(steps: Generator[Pulse, None, Accuracy], knowledge: str) -> Generator[Pulse, None, Accuracy]:
    """The same steps, whose pulses say which attacker is at work."""
    return retold(steps, lambda pulse: replace(pulse, activity=f"{pulse.activity}, {knowledge}"))
