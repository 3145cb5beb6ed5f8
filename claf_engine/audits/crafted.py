"""Attacks that a check makes itself: run batch by batch, judged by the subject alone, and kept for the worst case."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from claf_engine.accuracy.measure import abandonable
from claf_engine.accuracy.suite import Distances
from claf_engine.attacks import predict, require_ball
from claf_engine.audits import chance
from claf_engine.audits.bench import Bench, Outcome, Recipe
from claf_engine.audits.chance import Estimate
from claf_engine.audits.diagnostic import NotRun
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Pulse

NOISE, SQUARE, TRANSFER = "noise", "square", "transfer"
WITHOUT_OWN_GRADIENTS = frozenset({NOISE, SQUARE, TRANSFER})
"""Attacks that do not use the gradients of the model: what they break, masked gradients may hide from the others."""

Craft = Callable[[Tensor, Tensor, int], Generator[Pulse, None, Tensor]]
"""Images (M, C, H, W) in [0, 1], labels (M,) and the batch's number to attacked images of the same shape."""


@dataclass(frozen=True)
class Crafted:
    """An attack within the claim's ball.

    Attributes:
        label: what is run, for a person and as a key.
        recipe: how it is made.
        craft: makes it.
        batch_size: examples at once.
    """

    label: str
    recipe: Recipe
    craft: Craft
    batch_size: int


def crafted_steps(
    bench: Bench, attack: Crafted, standing: Tensor, limit: int | None = None
) -> Generator[Pulse, None, Outcome]:
    """Run an attack on examples that still stand, or find that it was run.

    Args:
        bench: keeps the outcome.
        attack: what to run.
        standing: (N,) bool on the CPU. The others count as broken.
        limit: attack only so many of them, the first; the rest counts as surviving.

    Raises:
        ClafError: an attacked image lies outside the ball or is not finite.
    """
    if attack.label in bench.outcomes:
        return bench.outcomes[attack.label]
    split, model = bench.subject.split, bench.subject.model
    survives, moved = standing.clone(), Distances()
    rows = first_rows(standing, limit)
    for number, batch in enumerate(torch.split(rows, attack.batch_size) if len(rows) else ()):
        on_device = batch.to(bench.compute.device)
        images, labels = to_pixels(split.images[on_device]), split.labels[on_device]
        adversarial = yield from abandonable(attack.craft(images, labels, number))
        require_ball(images, adversarial, bench.claim, attack.label)
        moved.add(images, adversarial)
        survives[batch] = (predict(model, adversarial, bench.compute) == labels).cpu()
    outcome = Outcome(
        attack.label,
        survives,
        is_in_ball=True,
        largest_distance=moved.largest,
        mean_distance=moved.mean,
        recipe=attack.recipe,
    )
    bench.record(outcome)
    return outcome


def first_rows(standing: Tensor, limit: int | None = None) -> Tensor:
    """Rows (M,) of the first examples that stand."""
    return standing.nonzero()[:limit, 0]


def attackable_steps(bench: Bench) -> Generator[Pulse, None, Tensor]:
    """Which examples (N,) there are to attack: in pixel space those that are classified correctly.

    The released code's clamp may turn a wrong prediction into a right one, so in its space all are.

    Raises:
        NotRun: none is classified correctly.
    """
    natural = yield from bench.natural()
    if not natural.survives.any():
        raise NotRun("no image is classified correctly without an attack")
    return natural.survives if bench.subject.space.is_pixel else torch.ones_like(natural.survives)


def gradient_survivors(bench: Bench) -> Tensor:
    """(N,) bool: the examples that survive everything run in the ball with the model's own gradients."""
    survives = torch.ones(len(bench.subject.split), dtype=torch.bool)
    for outcome in bench.outcomes.values():
        has_gradients = outcome.recipe is None or outcome.recipe.attack not in WITHOUT_OWN_GRADIENTS
        if outcome.is_in_ball and has_gradients:
            survives &= outcome.survives
    return survives


def lost(before: Tensor, after: Tensor) -> Estimate:
    """Share of all examples that one attack leaves and another breaks; (N,) bool each: what survives."""
    return chance.share(int((before & ~after).sum()), len(before))


def fallen(before: Tensor, after: Tensor) -> Estimate:
    """How much less one attack leaves than another, of the same examples; (N,) bool each: what survives."""
    return chance.difference(int((before & ~after).sum()), int((after & ~before).sum()), len(before))


def percent(share: float) -> str:
    """An accuracy in [0, 1] for a person: "87.8 %"."""
    return f"{100 * share:.1f} %"
