"""Attacks of the library `pyautoattack`: Square, which needs no gradients, and APGD on two losses.

The library's classes are asked for one small batch at a time, so that a person sees progress and may stop; each call
is seeded anew, and the process keeps its own randomness (`claf_engine.accuracy.autoattack_library`).
"""

import logging
from collections.abc import Generator
from typing import Any

from torch import Tensor, nn

from claf_engine.accuracy.autoattack import TARGETS
from claf_engine.accuracy.autoattack_library import LOGGER, contained, require_library
from claf_engine.accuracy.autoattack_state import CLASSES_OF
from claf_engine.audits.bench import Bench, Outcome, Recipe, num_classes_of
from claf_engine.audits.crafted import (
    SQUARE,
    Craft,
    Crafted,
    attackable_steps,
    crafted_steps,
    gradient_survivors,
    lost,
    percent,
)
from claf_engine.audits.diagnostic import Check, Finding, NotRun, graded
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.pixels import format_distance

SQUARE_WARNS_AT, SQUARE_FAILS_AT = 0.002, 0.02
GAP_WARNS_AT, GAP_FAILS_AT = 0.046, 0.07
CPU_BATCH = 32
"""Images in one call of the library on a CPU, which gives no sign of life before it ends."""


class Laid(nn.Module):
    """A model that gets its images in the memory format that convolutions are fastest in."""

    def __init__(self, model: nn.Module, compute: Compute) -> None:
        super().__init__()
        self.model = model
        self.compute = compute

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to fp32 logits (N, K)."""
        logits: Tensor = self.model(self.compute.arrange(images))
        return logits.float()


def square(bench: Bench) -> Generator[Pulse, None, Finding]:
    """What Square Attack breaks of the examples that the attacks by gradients left."""
    standing = yield from _begin(bench)
    yield from bench.attack(steps=bench.budget.steps[0])
    left, queries = gradient_survivors(bench) & standing, bench.budget.square_queries
    outcome = yield from _library_steps(bench, SQUARE, f"Square-{queries}, after gradients", queries, left)
    more = lost(left, outcome.survives)
    return Finding(
        graded(more.at_least, SQUARE_WARNS_AT, SQUARE_FAILS_AT),
        f"{more} in {queries} queries",
        {"share": more.value, "at_least": more.at_least, "queries": queries, "attacked": int(left.sum())},
    )


def loss_gap(bench: Bench) -> Generator[Pulse, None, Finding]:
    """What APGD on a difference of logits breaks of the examples that APGD on cross-entropy left."""
    standing = yield from _begin(bench)
    num_classes = num_classes_of(bench.subject.model, bench.subject.split)
    if num_classes < CLASSES_OF["apgd-dlr"]:
        raise NotRun(f"the difference of logits compares 3 classes, and here are {num_classes}")
    steps = bench.budget.apgd_steps
    name = "apgd-t" if bench.budget.affords("standard") and num_classes >= CLASSES_OF["apgd-t"] else "apgd-dlr"
    by_entropy = yield from _library_steps(bench, "apgd-ce", f"APGD-CE-{steps}", steps, standing)
    both = yield from _library_steps(bench, name, f"{name.upper()}-{steps}, after APGD-CE", steps, by_entropy.survives)
    gap = lost(by_entropy.survives, both.survives)
    return Finding(
        graded(gap.at_least, GAP_WARNS_AT, GAP_FAILS_AT),
        f"{gap}: APGD-CE leaves {percent(by_entropy.accuracy)}, with {name.upper()} {percent(both.accuracy)}",
        {
            "apgd-ce": by_entropy.accuracy,
            f"apgd-ce, {name}": both.accuracy,
            "gap": gap.value,
            "at_least": gap.at_least,
            "steps": steps,
        },
    )


def _begin(bench: Bench) -> Generator[Pulse, None, Tensor]:
    """The examples that there are to attack (N,), where the library can attack them."""
    if not bench.subject.space.is_pixel:
        raise NotRun(f"the library attacks in pixel space, and the claim is in {bench.subject.space.name} space")
    try:
        require_library()
    except ConfigError as error:
        raise NotRun(str(error)) from error
    return (yield from attackable_steps(bench))


def _library_steps(
    bench: Bench, name: str, title: str, steps: int, standing: Tensor
) -> Generator[Pulse, None, Outcome]:
    """Run one of the library's attacks on the examples (N,) that stand."""
    subject, epsilon = bench.subject, format_distance(bench.subject.epsilon)
    is_cpu = bench.compute.device.type == "cpu"
    attack = Crafted(
        f"{title}, at {epsilon}",
        Recipe(name, epsilon, steps=steps, step_size="adaptive", restarts=1),
        _craft(bench, name, title, steps, int(standing.sum())),
        min(CPU_BATCH, subject.batch_size) if is_cpu else subject.batch_size,
    )
    return (yield from crafted_steps(bench, attack, standing))


def _craft(bench: Bench, name: str, title: str, steps: int, total: int) -> Craft:
    """One call of the library for each batch, with a pulse before it."""
    target, done = Laid(fold(bench.subject.model), bench.compute), 0

    def craft(images: Tensor, labels: Tensor, _: int) -> Generator[Pulse, None, Tensor]:
        nonlocal done
        yield Pulse(title, done, total)
        with frozen(target), contained(bench.compute):
            adversarial: Tensor = _build(bench, target, name, steps).perturb(images, labels)
        done += len(images)
        return adversarial.detach()

    return craft


def _build(bench: Bench, target: nn.Module, name: str, steps: int) -> Any:
    """The library's attack, set up as its standard AutoAttack does, except for the number of steps."""
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
    from pyautoattack.square import SquareAttack

    subject = bench.subject
    shared = {"norm": "Linf", "eps": float(subject.epsilon), "seed": subject.seed, "device": bench.compute.device}
    if name == SQUARE:
        return SquareAttack(target, n_queries=steps, resc_schedule=False, **shared)
    shared["logger"] = logging.getLogger(LOGGER)
    if name == "apgd-t":
        num_targets = min(TARGETS, num_classes_of(bench.subject.model, bench.subject.split) - 1)
        return APGDAttack_targeted(target, n_iter=steps, n_target_classes=num_targets, **shared)
    return APGDAttack(target, n_iter=steps, loss=name.removeprefix("apgd-"), **shared)


CHECKS: tuple[Check, ...] = (
    # Square comes last: it asks much about every example, and only about those that all others left.
    Check(
        name="ce-dlr-gap",
        title="Cross-entropy and difference of logits find the same",
        threshold="warns above 4.6 points, fails above 7; adversarially trained networks show 3 to 4.6",
        meaning="Cross-entropy is a poor guide here, so accuracy under PGD is too high; report AutoAttack.",
        source="AutoAttack (Croce and Hein 2020, arXiv 2003.01690); entries of RobustBench",
        run=loss_gap,
    ),
    Check(
        name="square",
        title="An attack without gradients finds nothing more",
        threshold="warns if Square breaks over 0.2 points that gradients left, fails above 2",
        meaning="Gradients are masked: an attack that asks for nothing but logits finds what they hide.",
        source="AutoAttack (Croce and Hein 2020, arXiv 2003.01690); Andriushchenko et al. 2020 (arXiv 1912.00049)",
        run=square,
    ),
)
