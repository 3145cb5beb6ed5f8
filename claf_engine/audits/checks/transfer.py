"""Attacks made on a second model and judged by the audited one."""

from collections.abc import Generator
from dataclasses import replace

from torch import Tensor, nn

from claf_engine.accuracy.measure import correct_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import attack_steps, crossing_step_size
from claf_engine.audits.bench import Bench, Recipe, num_classes_of, recipe_of
from claf_engine.audits.checks.sweep import guessing
from claf_engine.audits.crafted import (
    TRANSFER,
    Craft,
    Crafted,
    attackable_steps,
    crafted_steps,
    fallen,
    gradient_survivors,
    percent,
)
from claf_engine.audits.diagnostic import Check, Finding, NotRun, graded
from claf_engine.audits.surrogate import surrogate_steps
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.terms.names import AttackName

LEAD = 0.01
"""How much less than the model's own gradients those of another may leave, as a share of all examples."""
NAMES: tuple[AttackName, ...] = ("mi-fgsm", "pgd")
"""Momentum is what makes attacks transfer (Dong et al. 2018)."""
STEPS = 10
BETTER_THAN_GUESSING = 1.5
"""How many times the accuracy of guessing a second model must have for its gradients to mean anything; where guessing
is often right, half of what guessing leaves."""


def transfer(bench: Bench) -> Generator[Pulse, None, Finding]:
    """What the gradients of a second model leave, against what the model's own leave."""
    standing = yield from attackable_steps(bench)
    surrogate = yield from _second_model(bench)
    known = yield from correct_steps(surrogate, bench.subject.split, bench.compute, bench.subject.batch_size)
    accuracy, chance = len(known) / len(bench.subject.split), guessing(bench.subject.split.labels)
    if accuracy <= min(BETTER_THAN_GUESSING * chance, (1 + chance) / 2):
        raise NotRun(f"the second model is right about {percent(accuracy)} only, and guessing about {percent(chance)}")
    own = yield from bench.attack(steps=bench.budget.steps[0])
    white_box = gradient_survivors(bench) & own.survives
    left = standing
    for name in NAMES:
        outcome = yield from crafted_steps(bench, _attack(bench, surrogate, name), standing)
        left = left & outcome.survives
    lead = fallen(white_box, left)
    by_transfer, by_own = (float(survivors.double().mean()) for survivors in (left, white_box))
    return Finding(
        graded(lead.at_least, LEAD, LEAD),
        f"transfer leaves {percent(by_transfer)}, own gradients {percent(by_own)}: {lead}",
        {
            "transfer": by_transfer,
            "white_box": by_own,
            "at_least": lead.at_least,
            "broken_by_transfer_only": float((white_box & ~left).double().mean()),
            "surrogate_accuracy": accuracy,
            "surrogate": "trained here" if bench.subject.surrogate is None else bench.subject.surrogate_from,
        },
    )


def _second_model(bench: Bench) -> Generator[Pulse, None, nn.Module]:
    """The one that was given, or one that is trained where the budget affords it.

    Raises:
        NotRun: there is none, or it knows other classes.
    """
    subject = bench.subject
    num_classes = num_classes_of(subject.model, subject.split)
    if subject.surrogate is not None:
        known = num_classes_of(subject.surrogate, subject.split)
        if known != num_classes:
            raise NotRun(f"the second model knows {known} classes and the audited one {num_classes}")
        return subject.surrogate
    if not bench.budget.affords("standard"):
        raise NotRun(
            "needs a second model, and there is no earlier checkpoint of the run: give one with --surrogate, or let "
            "--budget standard train one"
        )
    if subject.train is None:
        raise NotRun("needs a second model, and there are no images to train one on: give one with --surrogate")
    return (yield from surrogate_steps(bench, subject.train, num_classes))


def _attack(bench: Bench, surrogate: nn.Module, name: AttackName) -> Crafted:
    subject = bench.subject
    step_size = None if name == "mi-fgsm" else crossing_step_size(subject.epsilon, STEPS)
    suite = AttackSuite((subject.epsilon,), STEPS, step_size, seed=subject.seed, name=name, space=subject.space)
    recipe: Recipe = replace(recipe_of(suite, subject.epsilon), attack=TRANSFER)
    title = f"{suite.attack(subject.epsilon).title}, made on a second model"
    return Crafted(title, recipe, _craft(bench, surrogate, suite), subject.batch_size)


def _craft(bench: Bench, surrogate: nn.Module, suite: AttackSuite) -> Craft:
    target, spec = fold(surrogate), suite.attack(bench.subject.epsilon)

    def craft(images: Tensor, labels: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
        starts = measurement_generator(suite.seed, f"transfer, batch {batch}", bench.compute.device)
        return (yield from attack_steps(target, images, labels, spec, starts, bench.compute))

    return craft


CHECKS: tuple[Check, ...] = (
    Check(
        name="transfer",
        title="Attacks made on a second model are not stronger than the model's own",
        threshold="fails if they leave over 1 point less than all attacks by the model's own gradients",
        meaning="Gradients are masked: those of another model are the better guide to this one's mistakes.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705); Papernot et al. 2017 (arXiv 1602.02697)",
        run=transfer,
    ),
)
