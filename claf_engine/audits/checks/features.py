"""Attacks on features: away from the own class's mean, and towards another's."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.attacks import ascent_steps, gradient_of
from claf_engine.audits.bench import Bench, recipe_of
from claf_engine.audits.checks.classifiers import beyond_pgd, pgd_suite, strongest_pgd_steps
from claf_engine.audits.crafted import Crafted, attackable_steps, crafted_steps
from claf_engine.audits.diagnostic import Check, Finding
from claf_engine.audits.refitting import (
    class_means,
    encode,
    features_of,
    num_classes,
    require_network,
    training_features_steps,
)
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse

Distance = Callable[[Tensor, Tensor], Tensor]
"""Features (N, D) and class means (N, D) to distances (N,)."""


def euclidean(features: Tensor, means: Tensor) -> Tensor:
    """Half the squared Euclidean distance (N,) of features from means, both (N, D)."""
    return (features - means).square().sum(1) / 2


def cosine(features: Tensor, means: Tensor) -> Tensor:
    """One minus the cosine (N,) between features and means, both (N, D)."""
    return 1 - F.cosine_similarity(features, means, dim=1)


DISTANCES: dict[str, Distance] = {"euclidean": euclidean, "cosine": cosine}


@dataclass(frozen=True)
class Goal:
    """Where an attack takes the features.

    Attributes:
        title: for a person.
        name: for programs.
        distance: from a class mean.
        is_push: away from the own class's mean, else towards the nearest other one.
    """

    title: str
    name: str
    distance: Distance
    is_push: bool


GOALS: tuple[Goal, ...] = tuple(
    Goal(title, f"{verb}-{kind}", distance, verb == "push")
    for kind, distance in DISTANCES.items()
    for verb, title in (
        ("push", f"features pushed from the own class's mean ({kind})"),
        ("pull", f"features pulled to another class's mean ({kind})"),
    )
)


def feature_attacks(bench: Bench) -> Generator[Pulse, None, Finding]:
    """The worst case of the claim's classifier over PGD and over attacks on features."""
    network, _ = require_network(bench)
    standing = yield from attackable_steps(bench)
    by_pgd = yield from strongest_pgd_steps(bench)
    features, labels = yield from training_features_steps(bench)
    means = class_means(features, labels, num_classes(network))
    encoder = features_of(network.encoder)
    left, by_goal = by_pgd, {}
    for goal in GOALS:
        outcome = yield from crafted_steps(bench, _attack(bench, encoder, means, goal), standing)
        left, by_goal[goal.name] = left & outcome.survives, outcome.accuracy
    return beyond_pgd(by_pgd, left, "attacks on features", {"attacks": by_goal})


def nearest_others(features: Tensor, means: Tensor, labels: Tensor) -> Tensor:
    """The class (N,) other than one's own whose mean, of (K, D), lies nearest to features (N, D)."""
    return torch.cdist(features, means).scatter(1, labels[:, None], torch.inf).argmin(1)


def _attack(bench: Bench, encoder: nn.Module, means: Tensor, goal: Goal) -> Crafted:
    subject, suite = bench.subject, pgd_suite(bench)
    spec = suite.attack(subject.epsilon)
    label = f"{spec.title}, {goal.title}"

    def craft(images: Tensor, labels: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
        towards = labels if goal.is_push else nearest_others(encode(encoder, images, bench.compute), means, labels)
        sign, targets = 1 if goal.is_push else -1, means[towards]
        gradient = gradient_of(encoder, lambda features: sign * goal.distance(features, targets), bench.compute)
        generator = measurement_generator(subject.seed, f"{label}, batch {batch}", bench.compute.device)
        return (yield from ascent_steps(gradient, images, spec, generator))

    recipe = replace(recipe_of(suite, subject.epsilon), attack=f"pgd-{goal.name}")
    return Crafted(label, recipe, craft, subject.batch_size)


CHECKS: tuple[Check, ...] = (
    Check(
        name="feature-attacks",
        title="Attacks on the features find nothing more",
        threshold="warns if they break over 2 points that PGD left, fails above 5",
        meaning="The logits lead attacks astray while the features give way; report the worst case.",
        source="Sabour et al. 2016 (arXiv 1511.05122); Tramer et al. 2020 (arXiv 2002.08347): adaptive attacks",
        run=feature_attacks,
    ),
)
