"""Accuracy over the radius, and random points of the ball in place of an attack."""

from collections.abc import Generator
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor

from claf_engine.attacks import predict
from claf_engine.attacks.norms import project, uniform_noise
from claf_engine.audits import chance
from claf_engine.audits.bench import Bench, Recipe
from claf_engine.audits.crafted import (
    NOISE,
    Crafted,
    attackable_steps,
    crafted_steps,
    fallen,
    first_rows,
    gradient_survivors,
    lost,
    percent,
)
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.terms.names import Verdict
from claf_engine.terms.pixels import format_distance

RISE = 0.01
"""How much accuracy may truly rise from one radius to the next, by the luck of random starts."""
REST = 0.01
"""How much of it may truly be left when every image is within reach."""
NOISE_WARNS_AT = 0.005
"""Share of images that noise may break although gradients could not."""
LEAD = 0.0
"""How much less than PGD noise may leave."""
WHOLE_RANGE_STARTS = 5
"""Random starts at the radius of the whole image range; nearly nothing is left for the second."""


def epsilon_sweep(bench: Bench) -> Generator[Pulse, None, Finding]:
    """PGD at growing radii, up to that at which every image is within reach."""
    yield from attackable_steps(bench)
    left: dict[Fraction, Tensor] = {}
    for radius in bench.budget.radii:
        restarts = WHOLE_RANGE_STARTS if radius >= 1 else 1
        outcome = yield from bench.attack(steps=bench.budget.steps[0], epsilon=radius, restarts=restarts)
        left[radius] = outcome.survives
    return _swept(left, guessing(bench.subject.split.labels))


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
    lead = fallen(pgd.survives[asked], outcome.survives[asked])
    missed = lost(gradient_survivors(bench)[asked], outcome.survives[asked])
    verdict: Verdict = "fails" if lead.at_least > LEAD else graded(missed.at_least, NOISE_WARNS_AT, 1)
    return Finding(
        verdict,
        f"noise leaves {percent(left)} of {len(asked)} images, PGD-{budget.steps[0]} {percent(by_pgd)}; "
        f"{missed.percentage} fall to noise alone",
        {
            "noise": left,
            "pgd": by_pgd,
            "lead_at_least": lead.at_least,
            "missed": missed.value,
            "at_least": missed.at_least,
            "draws": budget.noise_draws,
            "num_examples": len(asked),
        },
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


def _swept(left: dict[Fraction, Tensor], by_guessing: float) -> Finding:
    """Judge what survives, (N,) bool each, by radius, ascending."""
    accuracy = {format_distance(radius): float(survives.double().mean()) for radius, survives in left.items()}
    # Where every image is within reach so few steps are so long that they say nothing of smaller balls.
    balls = [survives for radius, survives in left.items() if radius < 1]
    rises = [fallen(later, before) for before, later in pairwise(balls)]
    rise = max(rises, key=lambda estimate: estimate.at_least, default=chance.Estimate(0.0, 0.0))
    # A ball contains the smaller ones, and with them what was found there.
    last = torch.stack(list(left.values())).all(0)
    rest = chance.share(int(last.sum()), len(last))
    is_sound = rise.at_least <= RISE and rest.at_least <= REST
    return Finding(
        "passes" if is_sound else "fails",
        ", ".join(f"{percent(share)} at {radius}" for radius, share in accuracy.items())
        + ("" if is_sound else f"; rises by {rise}, leaves {rest}"),
        {
            "accuracy": accuracy,
            "largest_rise": max(rise.value, 0.0),
            "rise_at_least": rise.at_least,
            "rest_at_least": rest.at_least,
            "guessing": by_guessing,
            "guessing_reached_at": next((radius for radius, share in accuracy.items() if share <= by_guessing), None),
        },
    )


CHECKS: tuple[Check, ...] = (
    Check(
        name="epsilon-sweep",
        title="Accuracy falls with the radius, to nothing at 255/255",
        threshold="fails if accuracy rises by over 1 point between radii, or if over 1 % survives all up to 255/255",
        meaning="Where every image is within reach no model is robust: the attack does not work on this one, so its "
        "accuracy at the claim's radius is too high as well.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705)",
        run=epsilon_sweep,
        comparisons=7,
    ),
    Check(
        name="noise",
        title="Random noise is not stronger than the attack",
        threshold="warns if over 0.5 % of images fall to noise alone; fails if noise leaves less than PGD",
        meaning="Gradients are masked: they lead to fewer adversarial points than chance does.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705)",
        run=noise,
        comparisons=2,
    ),
)
