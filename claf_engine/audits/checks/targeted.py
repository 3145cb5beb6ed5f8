"""An attack aimed at the likeliest wrong classes, one after the other, by the difference of two logits.

Untargeted attacks climb towards whichever class leads at the moment, and one that only bars the way keeps them from the
others. Every point on the way is judged, and the last steps are short, as those of APGD become by themselves.
"""

from collections.abc import Generator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.attacks import Attack, ascent_steps, crossing_step_size, make_attack, predict
from claf_engine.audits.bench import Bench, num_classes_of, recipe_of
from claf_engine.audits.checks.classifiers import pgd_suite, strongest_pgd_steps
from claf_engine.audits.checks.convergence import Path
from claf_engine.audits.crafted import Craft, Crafted, attackable_steps, crafted_steps, lost, percent
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.compute.device import Compute
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen

TARGETS = 3
"""Classes that are aimed at: the likeliest wrong ones of each image."""
FINER = 4
"""How many times shorter the steps of the second half are."""
WARNS_AT, FAILS_AT = 0.046, 0.07
"""As of cross-entropy and AutoAttack: adversarially trained networks show 3 to 4.6 points."""


def targeted(bench: Bench) -> Generator[Pulse, None, Finding]:
    """What an attack aimed at each image's likeliest wrong classes breaks of what PGD left."""
    standing = yield from attackable_steps(bench)
    left = standing & (yield from strongest_pgd_steps(bench))
    outcome = yield from crafted_steps(bench, _attack(bench), left)
    more = lost(left, outcome.survives)
    pgd, worst = (float(survives.double().mean()) for survives in (left, outcome.survives))
    return Finding(
        graded(more.at_least, WARNS_AT, FAILS_AT),
        f"{more}: PGD leaves {percent(pgd)}, the targeted attack {percent(worst)}",
        {"pgd": pgd, "worst": worst, "drop": more.value, "at_least": more.at_least},
    )


def runners_up(model: nn.Module, images: Tensor, labels: Tensor, count: int, compute: Compute) -> Tensor:
    """The likeliest classes (N, count) of images (N, C, H, W) besides their labels (N,), likeliest first."""
    with torch.no_grad(), frozen(model), compute.autocast():
        logits: Tensor = model(compute.arrange(images)).float()
    return logits.scatter(1, labels[:, None], -torch.inf).topk(count, 1).indices


def margin(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """By how much (N,) of logits (N, K) the target leads the label."""
    return (logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None]))[:, 0]


def _attack(bench: Bench) -> Crafted:
    subject, suite = bench.subject, pgd_suite(bench)
    count = min(TARGETS, num_classes_of(subject.model, subject.split) - 1)
    half = max(1, bench.budget.apgd_steps // 2)
    coarse = make_attack(
        "pgd", subject.epsilon, steps=half, step_size=crossing_step_size(subject.epsilon, half), space=subject.space
    )
    fine = replace(coarse, step_size=coarse.step_size / FINER)
    label = f"PGD-{2 * half} at {count} runner-up class{'' if count == 1 else 'es'}, after PGD"
    recipe = replace(
        recipe_of(suite, subject.epsilon), attack="pgd-t", steps=2 * half, step_size="halved", restarts=count
    )
    return Crafted(label, recipe, _craft(bench, label, (coarse, fine), count), subject.batch_size)


def _craft(bench: Bench, label: str, stages: tuple[Attack, Attack], count: int) -> Craft:
    subject, target = bench.subject, fold(bench.subject.model)

    def craft(images: Tensor, labels: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
        generator = measurement_generator(subject.seed, f"{label}, batch {batch}", bench.compute.device)
        rivals, worst = runners_up(target, images, labels, count, bench.compute), images.clone()
        rows = torch.arange(len(labels), device=labels.device)
        for rank in range(count):
            climbed = partial(margin, targets=rivals[rows, rank])
            path = Path(target, images[rows], labels[rows], bench.compute, climbed)
            last = yield from ascent_steps(path.gradient, images[rows], stages[0], generator)
            last = yield from ascent_steps(path.gradient, images[rows], stages[1], generator, begin=last)
            worst[rows] = path.worst(last)
            rows = rows[predict(subject.model, worst[rows], bench.compute) == labels[rows]]
            if not len(rows):
                break
        return worst

    return craft


CHECKS: tuple[Check, ...] = (
    Check(
        name="targeted",
        title="An attack at the likeliest wrong classes finds nothing more",
        threshold="warns above 4.6 points that PGD left, fails above 7; adversarially trained networks show 3 to 4.6",
        meaning="PGD climbs towards a class that it never reaches: accuracy under it is too high; report AutoAttack.",
        source="AutoAttack's targeted APGD (Croce and Hein 2020, arXiv 2003.01690)",
        run=targeted,
    ),
)
