"""Defences that stand before a classifier when it is measured, and the two attackers who each is measured under.

Preprocessing often has a gradient of zero, or none that leads anywhere, which stops an attack without making the
classifier robust. So a defended classifier is attacked twice: by an attacker who does not know of the defence, and by
one who does, and who takes what has no gradient for the identity (backward pass differentiable approximation, Athalye,
Carlini and Wagner 2018).
"""

from abc import abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy, Examples
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.universal import UniversalSuite, suite_steps
from claf_engine.attacks import Attack, Attacked, predict, require_ball
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.data import Split, to_pixels
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, retold
from claf_engine.models.folding import fold

OBLIVIOUS = "oblivious"
ADAPTIVE = "adaptive"


class Defence(Protocol):
    """What stands before a classifier; its text is its name in figures.

    Attributes:
        largest_batch: images that it takes at once, where it is so slow that a pause would wait; None is any number.
    """

    largest_batch: ClassVar[int | None] = None

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

    def further_steps(
        self,
        model: nn.Module,  # noqa: ARG002 (for those that try something)
        images: Tensor,  # noqa: ARG002
        labels: Tensor,  # noqa: ARG002
        spec: Attack,  # noqa: ARG002
    ) -> Generator[Pulse, None, tuple[Tensor, ...]]:
        """What else an attacker tries who knows of the defence: by default nothing.

        Args:
            model: the classifier without the defence, images in [0, 1] to logits.
            images: (N, C, H, W) in [0, 1].
            labels: (N,) true classes.
            spec: radius and norm of the ball.

        Returns:
            Attacked images (N, C, H, W) in the ball, from each of its attacks.
        """
        yield from ()
        return ()


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

    Both attackers are always run, and their figures stand as measured: neither is derived from the other. The adaptive
    one takes gradients through the defence, and then tries on what is left what the defence itself knows against it.

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
    columns: list[tuple[RobustFigure, ...]] = []
    outcomes: list[tuple[Tensor, ...]] = []
    notices: list[str] = []
    for knowledge in (OBLIVIOUS, ADAPTIVE):
        measured = yield from attacker_steps(Guarded(model, defence, knowledge), split, suite, compute, batch_size)
        columns.append(measured.robust)
        outcomes.append(measured.outcomes)
        notices += [notice for notice in measured.notices if notice not in notices]
    robust = tuple(figure for pair in zip(*columns, strict=True) for figure in pair)
    return replace(
        measured,
        robust=robust,
        outcomes=tuple(mask for pair in zip(*outcomes, strict=True) for mask in pair),
        notices=tuple(notices),
    )


@dataclass(frozen=True)
class Guarded:
    """A classifier behind a defence, and what its attacker knows.

    Attributes:
        model: the classifier, images in [0, 1] to logits.
        defence: what stands before it.
        knowledge: "oblivious" or "adaptive".
    """

    model: nn.Module
    defence: Defence
    knowledge: str


def attacker_steps(
    guarded: Guarded, split: Split, suite: AttackSuite | UniversalSuite, compute: Compute, batch_size: int = 250
) -> Generator[Pulse, None, Accuracy]:
    """Measure a classifier behind a defence under one attacker; arguments and errors as in `defended_steps`."""
    defence, knowledge = guarded.defence, guarded.knowledge
    defended, folded = defence.guarded(guarded.model), fold(guarded.model)
    batch_size = min(batch_size, defence.largest_batch or batch_size)
    climbed = defence.guarded(folded) if knowledge == ADAPTIVE else defence.oblivious(folded)
    for module in (defended, climbed):
        compute.place(module)
    steps = suite_steps(defended, split, suite, compute, batch_size, climbed)
    measured = labelled((yield from _named(steps, knowledge)), defence, knowledge)
    if knowledge != ADAPTIVE or isinstance(suite, UniversalSuite) or not suite.space.is_pixel:
        return measured
    tried = Tried(defence, Attacked(defended, folded), split, batch_size)
    return (yield from _named(_further_steps(measured, tried, suite, compute), knowledge))


@dataclass(frozen=True)
class Tried:
    """A defence under attacks of its own kind.

    Attributes:
        defence: what stands before the classifier.
        attacked: the defended classifier, and the classifier alone.
        split: examples.
        batch_size: how many are attacked at once.
    """

    defence: Defence
    attacked: Attacked
    split: Split
    batch_size: int


def _further_steps(
    measured: Accuracy, tried: Tried, suite: AttackSuite, compute: Compute
) -> Generator[Pulse, None, Accuracy]:
    """The adaptive attacker's figures as worst case over what was measured and the defence's own attacks."""
    robust, outcomes, notices, total = [], [], list(measured.notices), len(tried.split)
    for epsilon, figure, survives in zip(suite.epsilons, measured.robust, measured.outcomes, strict=True):
        left = survives.clone()
        num_attacks = (yield from _left_steps(tried, left, suite.attack(epsilon), compute)) if epsilon else 0
        accuracy = int(left.sum()) / total
        robust.append(replace(figure, accuracy=accuracy))
        outcomes.append(left)
        if num_attacks:
            notices.append(
                f"adaptive at {figure.epsilon} is the worst case over attacks: {figure.accuracy:.1%} withstand those "
                f"on the gradient through {tried.defence}, {accuracy:.1%} its own as well"
            )
    return replace(measured, robust=tuple(robust), outcomes=tuple(outcomes), notices=tuple(notices))


def _left_steps(tried: Tried, left: Tensor, spec: Attack, compute: Compute) -> Generator[Pulse, None, int]:
    """Take off, in place, those of the examples `left` (N,) that an attack of the defence breaks; counts attacks."""
    split, compute, num_attacks = tried.split, exact_fp32(compute), 0
    for rows in Examples(split, left.nonzero()[:, 0], tried.batch_size).batches():
        images, labels = to_pixels(split.images[rows]), split.labels[rows]
        attacks = yield from tried.defence.further_steps(tried.attacked.gradient_source, images, labels, spec)
        for points in attacks:
            require_ball(images, points, spec)
            left[rows] &= predict(tried.attacked.model, points, compute) == labels
        num_attacks = len(attacks)
    return num_attacks


def labelled(measured: Accuracy, defence: Defence, knowledge: str) -> Accuracy:
    """The same figures, which say what stood before the classifier and whether the attacker knew of it."""
    figures = (replace(figure, defence=str(defence), knowledge=knowledge) for figure in measured.robust)
    return replace(measured, robust=tuple(figures))


def _named(steps: Generator[Pulse, None, Accuracy], knowledge: str) -> Generator[Pulse, None, Accuracy]:
    """The same steps, whose pulses say which attacker is at work."""
    return retold(steps, lambda pulse: replace(pulse, activity=f"{pulse.activity}, {knowledge}"))
