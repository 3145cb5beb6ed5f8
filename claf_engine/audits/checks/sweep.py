"""Accuracy over the radius, and random points of the ball in place of an attack."""

from collections.abc import Generator
from fractions import Fraction
from itertools import accumulate

import torch
from torch import Tensor

from claf_engine.attacks import predict
from claf_engine.attacks.norms import project, uniform_noise
from claf_engine.audits.bench import Bench, Recipe
from claf_engine.audits.crafted import (
    NOISE,
    Crafted,
    attackable_steps,
    crafted_steps,
    first_rows,
    gradient_survivors,
    percent,
)
from claf_engine.audits.diagnostic import ROUNDING, Check, Finding
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.terms.names import Verdict
from claf_engine.terms.pixels import format_distance

RISE = 0.01
"""How much accuracy may rise with the radius, by the luck of random starts."""
REST = 0.01
"""How much of it may be left when every image is within reach."""
NOISE_WARNS_AT = 0.005
"""Share of the asked images that noise may break although gradients could not."""
WHOLE_RANGE_STARTS = 5
"""Random starts at the radius of the whole image range; nearly nothing is left for the second."""


def epsilon_sweep(bench: Bench) -> Generator[Pulse, None, Finding]:
    """PGD at growing radii, up to that at which every image is within reach."""
    yield from attackable_steps(bench)
    accuracy: dict[Fraction, float] = {}
    for radius in bench.budget.radii:
        restarts = WHOLE_RANGE_STARTS if radius >= 1 else 1
        outcome = yield from bench.attack(steps=bench.budget.steps[0], epsilon=radius, restarts=restarts)
        accuracy[radius] = outcome.accuracy
    return _swept(accuracy, guessing(bench.subject.split.labels))


def noise(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Random points of the ball, half of them corners, against the attacks by gradients."""
    subject, budget = bench.subject, bench.budget
    standing = yield from attackable_steps(bench)
    asked = first_rows(standing, budget.noise_examples)
    pgd = yield from bench.attack(steps=budget.steps[0])
    epsilon = format_distance(subject.epsilon)
    attack = Crafted(
        f"{budget.noise_draws} random points at {epsilon}, {len(asked)} images",
        Recipe(NOISE, epsilon, subject.space.name, steps=budget.noise_draws),
        lambda images, labels, batch: draw_steps(bench, images, labels, batch),
        subject.batch_size,
    )
    outcome = yield from crafted_steps(bench, attack, standing, budget.noise_examples)
    left, by_pgd = (float(found.survives[asked].double().mean()) for found in (outcome, pgd))
    missed = float((gradient_survivors(bench) & ~outcome.survives)[asked].double().mean())
    verdict: Verdict = "warns" if missed > NOISE_WARNS_AT else "passes"
    return Finding(
        "fails" if left < by_pgd - ROUNDING else verdict,
        f"noise leaves {percent(left)} of {len(asked)} images, PGD-{budget.steps[0]} {percent(by_pgd)}; "
        f"{percent(missed)} fall to noise alone",
        {"noise": left, "pgd": by_pgd, "missed": missed, "draws": budget.noise_draws, "num_examples": len(asked)},
    )


def draw_steps(bench: Bench, images: Tensor, labels: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
    """The last random point at which each image is misclassified, or else the image, (N, C, H, W).

    Points are drawn uniformly from the ball and from its corners in turn, in the coordinates of the claim's space.
    """
    subject, draws = bench.subject, bench.budget.noise_draws
    epsilon, space = float(subject.epsilon), subject.space
    generator = measurement_generator(subject.seed, f"noise, batch {batch}", bench.compute.device)
    # Folded for speed: whether what was found is adversarial, the subject itself says afterwards.
    model, origin, found = fold(subject.model), space.enter(images), images
    for number in range(draws):
        yield Pulse("random points", number, draws)
        moved = uniform_noise(origin, epsilon, "linf", generator)
        if number % 2:
            moved = epsilon * moved.sign()
        points = space.leave(project(origin + moved, origin, epsilon, "linf"))
        is_broken = predict(model, points, bench.compute) != labels
        found = points.where(is_broken[:, None, None, None], found)
    return found


def guessing(labels: Tensor) -> float:
    """Accuracy of always naming the most frequent class of labels (N,)."""
    return float(torch.bincount(labels).max()) / len(labels)


def _swept(accuracy: dict[Fraction, float], chance: float) -> Finding:
    """Judge accuracies by radius, ascending."""
    shares = list(accuracy.values())
    lowest_before = accumulate(shares, min)
    rise = max((later - before for later, before in zip(shares[1:], lowest_before, strict=False)), default=0.0)
    reached = next((format_distance(radius) for radius, share in accuracy.items() if share <= chance), None)
    is_sound = rise <= RISE + ROUNDING and shares[-1] <= REST + ROUNDING
    return Finding(
        "passes" if is_sound else "fails",
        ", ".join(f"{percent(share)} at {format_distance(radius)}" for radius, share in accuracy.items()),
        {
            "accuracy": {format_distance(radius): share for radius, share in accuracy.items()},
            "largest_rise": max(rise, 0.0),
            "guessing": chance,
            "guessing_reached_at": reached,
        },
    )


CHECKS: tuple[Check, ...] = (
    Check(
        name="epsilon-sweep",
        title="Accuracy falls with the radius, to nothing at 255/255",
        threshold="fails if accuracy rises by over 1 point with the radius, or if over 1 % is left at 255/255",
        meaning="Where every image is within reach no model is robust: the attack does not work on this one, so its "
        "accuracy at the claim's radius is too high as well.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705)",
        run=epsilon_sweep,
    ),
    Check(
        name="noise",
        title="Random noise is not stronger than the attack",
        threshold="warns if over 0.5 % of images fall to noise alone; fails if noise leaves less than PGD",
        meaning="Gradients are masked: they lead to fewer adversarial points than chance does.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705)",
        run=noise,
    ),
)
