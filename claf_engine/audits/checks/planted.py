"""The active test of Zimmermann et al. (2022): an attack must find an adversarial point that is known to exist.

For each image the readout is replaced by one that tells two classes apart: the inner part of the ball, and one chosen
corner of it. The corner is an adversarial point of this modified model, so that robustness is no excuse: an attack
that does not find one is too weak for the features that it climbs through.
"""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import abandonable
from claf_engine.attacks import attack_steps, make_attack, predict, require_ball
from claf_engine.attacks.norms import project
from claf_engine.audits.bench import Bench
from claf_engine.audits.chance import share
from claf_engine.audits.crafted import percent
from claf_engine.audits.diagnostic import Check, Finding, NotRun, graded
from claf_engine.audits.refitting import encode, features_of
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.network import Pipeline

INNER = 0.95
"""Radius of the inner part, in radii of the ball."""
NUM_CORNERS = 20
"""Corners of the ball that the planted point is chosen from: the one that stands out most."""
CLOSENESS = 0.999
"""Where between the outermost inner point and the planted one the classes meet: hardly a random point gets there."""
RIDGE = 1e-3
"""Added to the variance of the features, in mean variances."""
MISSED_WARNS_AT, MISSED_FAILS_AT = 0.05, 0.2
MIN_PLANTED = 0.5
"""Share of the images that a readout must separate for the test to be one."""
TOO_EASY = 0.5
"""Share of the planted points that random search may find in a test that still asks something of gradients."""
WARY = 2
"""Of the images that noise is tried on, one of so many gets a planted point."""


@dataclass(frozen=True)
class Readout:
    """A linear score of features: above 0 at the planted point, below 0 at all inner points.

    Attributes:
        centre: (D,) float64, taken from the features first, because their differences are small.
        weight: (D,) float64.
        threshold: of the score.
    """

    centre: Tensor
    weight: Tensor
    threshold: Tensor


class PlantedModel(nn.Module):
    """An encoder with a readout of its own for each image of one batch; class 1 holds the planted point."""

    def __init__(self, encoder: nn.Module, readouts: list[Readout]) -> None:
        super().__init__()
        self.encoder = encoder
        self.readouts = readouts

    def forward(self, images: Tensor) -> Tensor:
        """Map the batch of images (N, C, H, W), in the readouts' order, to logits (N, 2)."""
        centre = torch.stack([readout.centre for readout in self.readouts])
        weight = torch.stack([readout.weight for readout in self.readouts])
        threshold = torch.stack([readout.threshold for readout in self.readouts])
        score = ((self.encoder(images).double() - centre) * weight).sum(1) - threshold
        return torch.stack([-score / 2, score / 2], 1).float()


def planted_point(bench: Bench) -> Generator[Pulse, None, Finding]:
    """How many planted points the claim's attack finds, and how many as many random points do."""
    subject = bench.subject
    if not subject.space.is_pixel:
        raise NotRun(f"points are planted in an epsilon-ball, and {subject.space.name} space has none")
    encoder = features_of(subject.model.encoder) if isinstance(subject.model, Pipeline) else subject.model
    count = min(len(subject.split), max(1, bench.budget.noise_examples // WARY))
    rows, planted, readouts = yield from _plant_steps(bench, encoder, count)
    hits, lucky = 0, 0
    for begin in range(0, len(rows), subject.batch_size):
        batch = slice(begin, begin + subject.batch_size)
        model = PlantedModel(encoder, readouts[batch])
        images = to_pixels(subject.split.images[rows[batch].to(bench.compute.device)])
        if not bool(predict(model, planted[batch], bench.compute).all()):
            raise NotRun("the model gives the planted points other features each time it is asked")
        hits += yield from _attack_steps(bench, model, images)
        lucky += yield from _search_steps(bench, model, images)
    rate, by_chance = hits / len(rows), lucky / len(rows)
    missed = share(len(rows) - hits, len(rows))
    verdict = graded(missed.at_least, MISSED_WARNS_AT, MISSED_FAILS_AT)
    if verdict == "passes" and by_chance > TOO_EASY:
        raise NotRun(f"random search finds {percent(by_chance)} of the planted points, so that they prove nothing")
    return Finding(
        verdict,
        f"found {hits} of {len(rows)}, random search {lucky}: missed {missed.percentage}",
        {
            "rate": rate,
            "missed_at_least": missed.at_least,
            "random_rate": by_chance,
            "planted": len(rows),
            "tried": count,
        },
    )


def choose_readout(inner: Tensor, corners: Tensor) -> tuple[Readout, int] | None:
    """Fisher's linear discriminant between the inner points and the corner that stands out most from them.

    Args:
        inner: features (M, D) of inner points.
        corners: features (C, D) of corners of the ball.

    Returns:
        The readout, with a score of 1 from the outermost inner point to the planted one, and the position of that
        corner; None where the corner does not lie outside.
    """
    inner, corners = inner.double(), corners.double()
    centre = inner.mean(0)
    centred = inner - centre
    covariance = centred.T @ centred / len(inner)
    variance = covariance.diagonal().mean()
    if not bool(variance > 0) or not bool(corners.isfinite().all()):
        return None
    covariance += RIDGE * variance * torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    directions: Tensor = torch.linalg.solve(covariance, (corners - centre).T).T
    scores = ((corners - centre) * directions).sum(1)
    best = int(scores.argmax())
    outermost = (centred @ directions[best]).max()
    gap = scores[best] - outermost
    if not bool(gap > 0):
        return None
    threshold = (outermost + CLOSENESS * gap) / gap
    return Readout(centre, directions[best] / gap, threshold), best


def random_corners(image: Tensor, radius: float, count: int, generator: torch.Generator) -> Tensor:
    """Corners (count, C, H, W) of the Linf ball around an image (C, H, W), in [0, 1]."""
    signs = torch.randint(2, (count, *image.shape), generator=generator, device=image.device) * 2.0 - 1
    return project(image + radius * signs, image[None], radius, "linf")


def _plant_steps(
    bench: Bench, encoder: nn.Module, count: int
) -> Generator[Pulse, None, tuple[Tensor, Tensor, list[Readout]]]:
    """Plant a point in the ball of each of the first `count` images.

    Returns:
        Rows (P,) of the images where that succeeded, the planted points (P, C, H, W), and the readouts.

    Raises:
        NotRun: it succeeded on too few.
    """
    subject, epsilon = bench.subject, float(bench.subject.epsilon)
    rows: list[int] = []
    planted: list[Tensor] = []
    readouts: list[Readout] = []
    for row in range(count):
        yield Pulse("planting adversarial points", row, count, abandonable=True)
        image = to_pixels(subject.split.images[row])
        generator = measurement_generator(subject.seed, f"planted point, image {row}", bench.compute.device)
        inner = random_corners(image, INNER * epsilon, bench.budget.noise_draws, generator)
        corners = random_corners(image, epsilon, NUM_CORNERS, generator)
        points = torch.split(torch.cat([image[None], inner, corners]), subject.batch_size)
        features = torch.cat([encode(encoder, part, bench.compute) for part in points])
        found = choose_readout(features[:-NUM_CORNERS], features[-NUM_CORNERS:])
        if found is not None:
            rows.append(row)
            readouts.append(found[0])
            planted.append(corners[found[1]])
    if len(rows) < MIN_PLANTED * count:
        raise NotRun(f"a linear readout tells a planted point from the others on {len(rows)} of {count} images only")
    return torch.tensor(rows), torch.stack(planted), readouts


def _attack_steps(bench: Bench, model: nn.Module, images: Tensor) -> Generator[Pulse, None, int]:
    """How many of the planted points the claim's attack finds, or others that do as well."""
    subject = bench.subject
    spec = make_attack("pgd", subject.epsilon, steps=bench.budget.steps[0], step_size=subject.step_size)
    generator = measurement_generator(subject.seed, "search for planted points", bench.compute.device)
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)
    attacked = yield from abandonable(attack_steps(model, images, labels, spec, generator, bench.compute))
    require_ball(images, attacked, spec)
    return int(predict(model, attacked, bench.compute).sum())


def _search_steps(bench: Bench, model: nn.Module, images: Tensor) -> Generator[Pulse, None, int]:
    """How many random corners find, as often as the attack asks the model."""
    num_draws = bench.budget.steps[0] + 1
    generator = measurement_generator(bench.subject.seed, "random search", bench.compute.device)
    found = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    for number in range(num_draws):
        yield Pulse("random search", number, num_draws, abandonable=True)
        signs = torch.randint(2, images.shape, generator=generator, device=images.device) * 2.0 - 1
        corners = (images + float(bench.subject.epsilon) * signs).clamp(0, 1)
        found |= predict(model, corners, bench.compute) == 1
    return int(found.sum())


CHECKS: tuple[Check, ...] = (
    Check(
        name="planted-point",
        title="The attack finds an adversarial point that is known to exist",
        threshold="warns if it misses over 5 % of the planted points, fails above 20 %",
        meaning="The attack is too weak for these features: that it finds nothing says nothing about robustness.",
        source="Zimmermann et al. 2022 (arXiv 2206.13991)",
        run=planted_point,
    ),
)
