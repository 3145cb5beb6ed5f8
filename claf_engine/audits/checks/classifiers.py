"""Attacks made through classifiers that are fitted anew on the encoder, judged by the claim's classifier."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import abandonable
from claf_engine.accuracy.suite import AttackSuite, Distances
from claf_engine.attacks import attack_steps, crossing_step_size, predict, require_ball
from claf_engine.audits.bench import Bench, Outcome, recipe_of
from claf_engine.audits.crafted import attackable_steps, lost, percent
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.audits.refitting import (
    adversarial_fit_steps,
    features_of,
    fit_linear,
    nearest_mean,
    num_classes,
    require_network,
    training_features_steps,
)
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Pulse

WARNS_AT, FAILS_AT = 0.02, 0.05
"""How much lower than PGD the worst case over three or four other attacks may be, as a share of all examples."""


@dataclass(frozen=True)
class Refitted:
    """What became of the examples under the attack through one refitted classifier.

    Attributes:
        natural: its own accuracy without an attack, in [0, 1].
        own: its own accuracy under the attack.
        outcome: what the attack did to the claim's classifier.
    """

    natural: float
    own: float
    outcome: Outcome


def refitted_classifiers(bench: Bench) -> Generator[Pulse, None, Finding]:
    """The worst case of the claim's classifier over PGD and over attacks through refitted classifiers."""
    network, _ = require_network(bench)
    standing = yield from attackable_steps(bench)
    by_pgd = yield from strongest_pgd_steps(bench)
    encoder = features_of(network.encoder)
    refitted: dict[str, Refitted] = {}
    for name, classifier in (yield from _fit_steps(bench, encoder)).items():
        refitted[name] = yield from _attack_steps(bench, nn.Sequential(encoder, classifier), name, standing)
    left = torch.stack([each.outcome.survives for each in refitted.values()]).all(0)
    classifiers = {
        name: {"natural": each.natural, "own_attack": each.own, "transferred": each.outcome.accuracy}
        for name, each in refitted.items()
    }
    return beyond_pgd(by_pgd, left, "attacks through refitted classifiers", {"classifiers": classifiers})


def strongest_pgd_steps(bench: Bench) -> Generator[Pulse, None, Tensor]:
    """(N,) bool: what survives PGD with the most starts and with the most steps that the budget affords.

    What other attacks break beyond that, neither luck nor patience explains.
    """
    steps, restarts = bench.budget.steps, bench.budget.restarts
    most_starts = yield from bench.attack(steps=steps[0], restarts=restarts[-1])
    most_steps = yield from bench.attack(steps=steps[-1])
    return most_starts.survives & most_steps.survives


def beyond_pgd(by_pgd: Tensor, left: Tensor, what: str, parts: Mapping[str, Any]) -> Finding:
    """A finding on how far accuracy falls from PGD to the worst case over PGD and other attacks.

    Args:
        by_pgd: (N,) bool: what survives PGD.
        left: (N,) bool: what survives the others as well.
        what: the others, for a person.
        parts: more values.
    """
    pgd, worst = (float(survives.double().mean()) for survives in (by_pgd, by_pgd & left))
    drop = lost(by_pgd, left)
    return Finding(
        graded(drop.at_least, WARNS_AT, FAILS_AT),
        f"PGD leaves {percent(pgd)}, with {what} {percent(worst)}: {drop}",
        {"pgd": pgd, "worst": worst, "drop": drop.value, "at_least": drop.at_least, **parts},
    )


def _fit_steps(bench: Bench, encoder: nn.Module) -> Generator[Pulse, None, dict[str, nn.Linear]]:
    """Classifiers of features by how they were fitted."""
    network, _ = require_network(bench)
    features, labels = yield from training_features_steps(bench)
    yield Pulse("refitting a classifier", abandonable=True)
    natural = fit_linear(features, labels, num_classes(network))
    adversarial = yield from adversarial_fit_steps(bench, encoder, natural)
    means = nearest_mean(features, labels, num_classes(network))
    return {"natural": natural, "adversarial": adversarial, "nearest mean": means}


def _attack_steps(bench: Bench, model: nn.Module, name: str, standing: Tensor) -> Generator[Pulse, None, Refitted]:
    """PGD through one refitted classifier, on all examples, because its own accuracy is told as well."""
    subject, compute = bench.subject, bench.compute
    suite = pgd_suite(bench)
    spec = suite.attack(subject.epsilon)
    label = f"{spec.title}, through a refitted classifier: {name}"
    survives, is_right, is_kept = (torch.zeros(len(standing), dtype=torch.bool) for _ in range(3))
    moved = Distances()
    for number, rows in enumerate(torch.split(torch.arange(len(standing)), subject.batch_size)):
        on_device = rows.to(compute.device)
        images, labels = to_pixels(subject.split.images[on_device]), subject.split.labels[on_device]
        generator = measurement_generator(subject.seed, f"{label}, batch {number}", compute.device)
        attacked = yield from abandonable(attack_steps(model, images, labels, spec, generator, compute))
        require_ball(images, attacked, bench.claim, label)
        moved.add(images, attacked)
        survives[rows] = standing[rows] & (predict(subject.model, attacked, compute) == labels).cpu()
        is_right[rows] = (predict(model, images, compute) == labels).cpu()
        is_kept[rows] = is_right[rows] & (predict(model, attacked, compute) == labels).cpu()
    recipe = replace(recipe_of(suite, subject.epsilon), attack=f"pgd-refitted-{name.replace(' ', '-')}")
    outcome = Outcome(label, survives, True, moved.largest, moved.mean, recipe)
    bench.record(outcome)
    return Refitted(float(is_right.double().mean()), float(is_kept.double().mean()), outcome)


def pgd_suite(bench: Bench) -> AttackSuite:
    """The claim's attack, with one start and steps that reach across the ball."""
    subject, steps = bench.subject, bench.budget.steps[0]
    step_size = max(subject.step_size, crossing_step_size(subject.epsilon, steps))
    return AttackSuite((subject.epsilon,), steps, step_size, seed=subject.seed, space=subject.space)


CHECKS: tuple[Check, ...] = (
    Check(
        name="refitted-classifiers",
        title="Attacks through other classifiers on the same encoder find nothing more",
        threshold="warns if they break over 2 points that PGD left, fails above 5",
        meaning="The classifier hides from its own attack what its encoder does not withstand; report the worst case.",
        source="Carlini et al. 2019, section 3 (arXiv 1902.06705): adaptive attacks; Tramer et al. 2020 (2002.08347)",
        run=refitted_classifiers,
    ),
)
