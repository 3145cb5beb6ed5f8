"""Who attacks a row: its network alone, or what stands before it too, by the attackers whom each system has.

What a row names as its `system` is a defence of `claf-tui eval --defence`, unless `SYSTEMS` says otherwise.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from claf_engine.accuracy.defences import ADAPTIVE, OBLIVIOUS, Guarded, attacker_steps, labelled
from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.union import over_all
from claf_engine.accuracy.universal import USUAL_IMAGES, UniversalSuite
from claf_engine.accuracy.watched import watched_steps
from claf_engine.attacks import PIXEL, Space, space_of
from claf_engine.config.presets import resolve_config
from claf_engine.data import Split
from claf_engine.data.fingerprint import SplitName
from claf_engine.evaluation.defences import open_defence, parse_defence
from claf_engine.evaluation.detectors import open_watched, parse_detector
from claf_engine.evaluation.evaluate import autoattack_folder
from claf_engine.evaluation.subject import Opened
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.rows import Column
from claf_engine.terms.names import Norm, SpaceName
from claf_engine.terms.pixels import USUAL_RADII, exact_distance

AUTOATTACK_BATCH = 50
"""Images that AutoAttack is tried on at once: between two batches it may be paused, stopped and killed at no loss."""
WORST_OF = "all attacks"
"""In place of the name of an attack: an image stands only if it does against each of so many `restarts`."""


@dataclass(frozen=True)
class Faced:
    """What an attack meets.

    Attributes:
        opened: the network, its device and its images.
        checkpoint: the file that it is from.
        system: what stands before it, as the row names it; empty where nothing does.
        split: the test images that are asked about.
    """

    opened: Opened
    checkpoint: Path
    system: str
    split: Split


@dataclass(frozen=True)
class System:
    """How a kind of system is attacked.

    Attributes:
        attacked: accuracy under the attack of a column, with the outcome of every image.
        without_autoattack: why AutoAttack cannot be tried on it; empty where it can.
        without_audit: why it cannot be audited; empty where it can, because it is a defence.
        splits: images that it takes to measure it.
    """

    attacked: Callable[[Faced, Column], Generator[Pulse, None, Accuracy]]
    without_autoattack: str = ""
    without_audit: str = ""
    splits: tuple[SplitName, ...] = ("test",)


def attacked_steps(opened: Opened, checkpoint: Path, system: str, column: Column) -> Generator[Pulse, None, Accuracy]:
    """Accuracy of a network, and of what stands before it, under the attack of a column.

    Raises:
        CheckpointError: the run trained no such system.
        ConfigError: there is no such system, or AutoAttack is not installed.
        DataError: the images do not lie in [0, 1].
        ClafError: the attack is broken.
    """
    split = opened.data.test.first(column.num_examples)
    return (yield from system_of(system).attacked(Faced(opened, checkpoint, system, split), column))


def why_not_tried(system: str, column: Column) -> str:
    """A sentence that says why a system is not measured in a column; empty where it is."""
    return system_of(system).without_autoattack if column.attack == "autoattack" else ""


def space_named(name: SpaceName) -> Space:
    """Where an attack lives; the released code's space is made by its own means and deviations."""
    return PIXEL if name == "pixel" else space_of(name, resolve_config(name, None).model)


def suite_for(column: Column, norm: Norm = "linf") -> AttackSuite:
    """PGD of a column, in the ball of a norm."""
    step_size: Fraction | Literal["crossing"] = "crossing" if column.step_size is None else column.step_size
    about: dict[str, Any] = {"norm": norm, "space": space_named(column.space), "decides": column.decides}
    return AttackSuite((_radius(column, norm),), column.steps, step_size, column.restarts, **about)


def _radius(column: Column, norm: Norm) -> Fraction:
    """A column's own in Linf, the usual one in another norm."""
    return column.epsilon if norm == "linf" else exact_distance(USUAL_RADII[norm], norm)


def _alone_steps(faced: Faced, column: Column, norm: Norm = "linf") -> Generator[Pulse, None, Accuracy]:
    """Nothing stands before the network."""
    opened = faced.opened
    if column.attack == "autoattack":
        return (yield from _autoattacked_steps(faced, opened.model, column, norm))
    return (yield from accuracy_steps(opened.model, faced.split, suite_for(column, norm), opened.compute))


def _united_steps(faced: Faced, column: Column) -> Generator[Pulse, None, Accuracy]:
    """Nothing stands before the network, and an image stands only if it does in the ball of every norm.

    An oblivious attacker knows the column's ball alone.
    """
    if column.knowledge == OBLIVIOUS:
        return (yield from _alone_steps(faced, column))
    measured: tuple[Accuracy, ...] = ()
    for norm in get_args(Norm):
        measured = (*measured, (yield from _alone_steps(faced, column, norm)))
    found = over_all(measured)
    assert found.union is not None, "it is over several balls"
    figure = replace(
        found.robust[0],
        accuracy=found.union,
        attack=WORST_OF,
        restarts=sum(each.restarts for each in found.robust),
        knowledge=ADAPTIVE,
        norm=" ".join(each.norm for each in found.robust),
        epsilon=" ".join(each.epsilon for each in found.robust),
        step_size=" ".join(each.step_size for each in found.robust),
        largest_distance=None,
        mean_distance=None,
        notice="; ".join(dict.fromkeys(each.notice for each in found.robust if each.notice)),
    )
    return replace(found, robust=(figure,), outcomes=(torch.stack(found.outcomes).all(dim=0),))


def _defended_steps(faced: Faced, column: Column) -> Generator[Pulse, None, Accuracy]:
    """A defence stands before the network, and judges; an oblivious attacker climbs the network alone."""
    defence = open_defence(parse_defence(faced.system), faced.checkpoint)
    model, compute = faced.opened.model, faced.opened.compute
    if column.attack == "autoattack":
        guarded = defence.guarded(model)
        compute.place(guarded)
        return labelled((yield from _autoattacked_steps(faced, guarded, column)), defence, ADAPTIVE)
    knowledge = OBLIVIOUS if column.knowledge == OBLIVIOUS else ADAPTIVE
    return (yield from attacker_steps(Guarded(model, defence, knowledge), faced.split, suite_for(column), compute))


def _rectified_steps(faced: Faced, column: Column) -> Generator[Pulse, None, Accuracy]:
    """A defence against one perturbation for all images: that is what its oblivious attacker crafts."""
    if column.knowledge != OBLIVIOUS:
        return (yield from _defended_steps(faced, column))
    opened, defence = faced.opened, open_defence(parse_defence(faced.system), faced.checkpoint)
    suite = UniversalSuite((column.epsilon,), opened.data.train.first(USUAL_IMAGES))
    guarded = Guarded(opened.model, defence, OBLIVIOUS)
    return (yield from attacker_steps(guarded, faced.split, suite, opened.compute))


def _watched_steps(faced: Faced, column: Column) -> Generator[Pulse, None, Accuracy]:
    """A detector stands beside the network; what it rejects is neither right nor broken."""
    opened, choice = faced.opened, parse_detector(faced.system.removeprefix("detector:"))
    watched = open_watched((choice, None), opened.model, faced.checkpoint, opened.compute)
    watched = replace(watched, attackers=(OBLIVIOUS if column.knowledge == OBLIVIOUS else ADAPTIVE,))
    suite = suite_for(column)
    return (yield from watched_steps(watched, opened.data.validation, faced.split, suite, opened.compute))


def _autoattacked_steps(
    faced: Faced, model: nn.Module, column: Column, norm: Norm = "linf"
) -> Generator[Pulse, None, Accuracy]:
    from claf_engine.accuracy.autoattack import AutoAttackSuite, autoattack_steps

    suite, folder = AutoAttackSuite((_radius(column, norm),), norm), autoattack_folder(faced.checkpoint)
    return (yield from autoattack_steps(model, faced.split, suite, faced.opened.compute, AUTOATTACK_BATCH, folder))


def system_of(system: str) -> System:
    """How what a row names is attacked."""
    return SYSTEMS.get(system.partition(":")[0], DEFENCE)


DEFENCE = System(_defended_steps)
"""Of whatever `claf-tui eval --defence` takes."""
SYSTEMS: dict[str, System] = {
    "": System(_alone_steps),
    "detector": System(
        _watched_steps,
        "AutoAttack looks at no detector",
        "an audit is of a classifier, which does not reject",
        ("validation", "test"),
    ),
    "union": System(
        _united_steps, without_audit="an audit judges figures of Linf; claf-tui audit RUN gives its verdict"
    ),
    "rectifier": System(_rectified_steps, splits=("train", "test")),
    "defense-gan": System(
        _defended_steps,
        without_autoattack="its Square Attack alone would project every image 5,000 times; "
        "claf-tui eval RUN --attack autoattack --defence defense-gan does so",
    ),
}
"""By what a row's system begins with, up to a colon, where its attackers are not those of a defence."""
