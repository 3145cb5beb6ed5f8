"""One run of an attack that any of its points decides: what is broken is dropped on the way.

The pass that gives the gradient at a point gives its logits too, so every point can be looked at for nothing. What the
attacked copy of a model calls broken, the model itself confirms; it leaves, and later steps run on fewer images.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from claf_engine.attacks.attacked import Attacked, predict
from claf_engine.attacks.gradients import CLIMBED, outputs_and_gradient
from claf_engine.attacks.loop import start, take_step
from claf_engine.attacks.spec import Attack
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse

Judge = Callable[[Tensor, Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] and their labels (N,) to the classes (N,) that they are taken for; the label where the
attack has failed for another reason, such as a detector."""

GRAIN = 32
NUM_SIZES = 8
"""Batches shrink in so many moves at most: a CPU compiles its kernels anew for every other size."""


@dataclass(frozen=True)
class AnyPoint:
    """How an attack ended that any of its points decides.

    Attributes:
        points: (N, C, H, W), of each example the first point that is misclassified, or else the last.
        answers: (N,), the class that each is taken for there.
    """

    points: Tensor
    answers: Tensor


def any_point_steps(
    attacked: Attacked, images: Tensor, labels: Tensor, spec: Attack, generator: torch.Generator, compute: Compute
) -> Generator[Pulse, None, AnyPoint]:
    """Attack as `attack_steps` does, until a point of every example is misclassified; its start is one of them.

    The random start is drawn for the whole batch first, so it is that of `attack_steps`, and so is every later point
    up to rounding. What stands at the end is judged at its last point: nothing survives that `attack_steps` breaks.

    Args:
        attacked: gradients and suspicions come from its gradient source; the model says what is broken indeed.
        images: (N, C, H, W) in [0, 1]; not modified.
        labels: (N,) true classes.
        spec: the attack.
        generator: of the random start.
        compute: precision of all passes.
    """
    climb = Climb(images, labels, spec, generator)

    def judge(points: Tensor, _: Tensor) -> Tensor:
        return predict(attacked.model, points, compute)

    for number in range(spec.steps):
        yield Pulse(spec.title, number, spec.steps)
        loss = partial(CLIMBED[spec.climbs], labels=climb.labels)
        logits, gradient = outputs_and_gradient(attacked.gradient_source, loss, climb.images, compute)
        climb.settle(misclassified(logits, climb.labels), judge)
        if not climb.num_standing:
            break
        climb.advance(gradient)
    climb.finish(judge)
    return AnyPoint(climb.points, climb.answers)


def misclassified(logits: Tensor, labels: Tensor) -> Tensor:
    """Which logits (N, K) are highest at another class than the label; NaN says nothing, and comes out in the end."""
    return (logits.argmax(1) != labels) & ~logits.isnan().any(1)


def coarse(count: int, whole: int) -> int:
    """The batch size for `count` of `whole` examples: one of `NUM_SIZES`, and a multiple of `GRAIN` but for `whole`."""
    grain = GRAIN * -(-whole // (GRAIN * NUM_SIZES))
    return min(whole, grain * -(-count // grain))


class Climb:
    """A batch of M of the N examples: those that stand, and broken ones that fill it up to a coarse size.

    Attributes:
        labels: (M,) true classes.
        num_standing: how many of all are not broken.
        points: (N, C, H, W), where each example was broken, or stood last.
        answers: (N,), what each is taken for there.
    """

    def __init__(self, images: Tensor, labels: Tensor, spec: Attack, generator: torch.Generator) -> None:
        self.labels = labels
        self.num_standing = len(images)
        self.points, self.answers = images.clone(), self.labels.clone()
        self._spec = spec
        self._rows = torch.arange(len(images), device=images.device)
        self._stands = torch.ones_like(self.labels, dtype=torch.bool)
        self._origin = spec.space.enter(images)
        self._point = start(self._origin, spec, generator)
        self._velocity = torch.zeros_like(self._origin)

    @property
    def rows(self) -> Tensor:
        """Which of the N examples the batch (M,) is of."""
        return self._rows

    @property
    def images(self) -> Tensor:
        """Where the batch (M, C, H, W) is now."""
        return self._spec.space.leave(self._point)

    def settle(self, suspects: Tensor, judge: Judge) -> None:
        """Have these (M,) judged where they are now, unless they are broken already."""
        suspects = suspects & self._stands
        count = int(suspects.sum())
        if not count:
            return
        # Others are judged along with them for the sake of the size, and their answers left aside.
        asked = _first(suspects, coarse(count, len(self.answers)))
        points = self.images[asked]
        answers = judge(points, self.labels[asked])[:count]
        asked, points = asked[:count], points[:count]
        rows = self._rows[asked]
        is_broken = answers != self.labels[asked]
        self.points[rows[is_broken]] = points[is_broken]
        self.answers[rows] = answers
        self._stands[asked[is_broken]] = False
        self.num_standing -= int(is_broken.sum())

    def advance(self, gradient: Tensor) -> None:
        """Take one step along a gradient (M, C, H, W), after broken examples have left."""
        gradient = self._shrink(gradient)
        state = self._point, self._velocity
        self._point, self._velocity = take_step(state, gradient, self._origin, self._spec)

    def finish(self, judge: Judge) -> None:
        """Judge what still stands where it is now, which decides."""
        self.points[self._rows[self._stands]] = self.images[self._stands]
        self.settle(self._stands, judge)

    def _shrink(self, gradient: Tensor) -> Tensor:
        size = coarse(self.num_standing, len(self.answers))
        if size == len(self._rows):
            return gradient
        kept = _first(self._stands, size)
        self._rows, self.labels, self._stands = self._rows[kept], self.labels[kept], self._stands[kept]
        self._origin, self._point, self._velocity = self._origin[kept], self._point[kept], self._velocity[kept]
        return gradient[kept]


def _first(chosen: Tensor, count: int) -> Tensor:
    """Rows (count,) of a batch, the chosen ones (M,) before the others, each in their order."""
    return chosen.byte().argsort(descending=True, stable=True)[:count]
