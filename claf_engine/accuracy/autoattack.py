"""AutoAttack, standard version (Croce and Hein 2020, arXiv 2003.01690), through the library `pyautoattack`.

The library runs one attack on one batch at a time here, so that a person sees progress and may stop. It seeds each such
call anew, so the outcome of every example is that of one direct call.
"""

import hashlib
import json
import math
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.accuracy.autoattack_library import PACKAGE, contained, require_library
from claf_engine.accuracy.autoattack_state import (
    CLASSES_OF,
    MEMBERS,
    Member,
    Survivors,
    load_survivors,
    members_for,
    save_survivors,
    untouched,
)
from claf_engine.accuracy.measure import Accuracy, correct_steps, mask_of
from claf_engine.attacks.norms import distances, rounding
from claf_engine.attacks.weakness import unit_notices
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.data import Split, to_pixels
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.modes import frozen
from claf_engine.terms.errors import CheckpointError, ClafError
from claf_engine.terms.names import Norm
from claf_engine.terms.pixels import format_distance

NORMS: dict[Norm, str] = {"linf": "Linf", "l2": "L2", "l1": "L1"}
STEPS = 100
"""Iterations of each gradient attack; Square Attack asks the model 5000 times instead."""
TARGETS = 9
"""Classes that the targeted attacks aim at, the likeliest first."""
SLACK = 1e-5
"""How far beyond epsilon rounding may carry an image; the L2 norm sums the rounding of thousands of values."""
SUSPICIOUS_SHARE = 0.002
"""The library takes Square Attack to have found more than its share beyond this fraction of all examples."""


@dataclass(frozen=True)
class AutoAttackSuite:
    """AutoAttack at several radii in pixel space; `seed` is that of its random starts."""

    epsilons: tuple[Fraction, ...]
    norm: Norm = "linf"
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """One radius of one evaluation.

    Attributes:
        library: the library's AutoAttack object, set up for this radius.
        model: what is attacked.
        split: all examples.
        rows: (M,) those that are classified correctly, which alone are attacked.
        suite: the attack; `epsilon` is one of its radii.
        batch_size: examples attacked at once.
        num_classes: that the model tells apart.
        path: file of the state, or None.
    """

    library: Any
    model: nn.Module
    split: Split
    rows: Tensor
    suite: AutoAttackSuite
    epsilon: Fraction
    batch_size: int
    num_classes: int
    compute: Compute
    path: Path | None

    @property
    def title(self) -> str:
        """For a person: "AutoAttack at 8/255"."""
        norm = "" if self.suite.norm == "linf" else f" {self.suite.norm.upper()}"
        return f"AutoAttack{norm} at {format_distance(self.epsilon)}"


def autoattack_steps(
    model: nn.Module,
    split: Split,
    suite: AutoAttackSuite,
    compute: Compute,
    batch_size: int,
    state_folder: Path | None,
) -> Generator[Pulse, None, Accuracy]:
    """Measure natural accuracy, and robust accuracy under AutoAttack, in fp32 and pixel space.

    An example counts as robust if it is classified correctly and all four attacks fail; each attack is tried on those
    that the attacks before it left. Of fewer than four classes not all of the attacks can be made, which is told.

    Args:
        model: images in [0, 1] to logits.
        split: what to measure on.
        suite: the attack; at radius 0 there is nothing to attack.
        compute: where; its precision is ignored.
        batch_size: examples attacked at once; a batch shares its random numbers, so the outcome depends on it.
        state_folder: where to keep what is done, for the same call to go on from; None keeps nothing.

    Raises:
        ConfigError: the library is not installed.
        DataError: the images do not lie in [0, 1].
        ClafError: an adversarial image lies outside the ball, so the library or the model is broken.
    """
    require_library()
    compute = exact_fp32(compute)
    rows = yield from correct_steps(model, split, compute, batch_size)
    origin, num_classes = _examine(model, split, batch_size)
    robust, notices, outcomes = [], [], []
    for epsilon in suite.epsilons:
        key = _key(origin, model, suite, epsilon, batch_size)
        path = None if state_folder is None else state_folder / f"autoattack-{key[:16]}.json"
        library = _set_up(model, suite, epsilon, compute, min(TARGETS, num_classes - 1))
        job = Job(library, model, split, rows, suite, epsilon, batch_size, num_classes, compute, path)
        survivors = yield from _survivor_steps(job, key)
        robust.append(_figure(job, survivors))
        outcomes.append(mask_of(rows[[broken is None for broken in survivors.broken_by]], len(split)))
        notices += [notice for notice in survivors.notices if notice not in notices]
    notices += unit_notices(suite.epsilons, suite.norm, split.images[0].numel())
    return Accuracy(
        len(rows) / len(split),
        tuple(robust),
        tuple(notices),
        outcomes=tuple(outcomes),
        correct=mask_of(rows, len(split)),
    )


def _survivor_steps(job: Job, key: str) -> Generator[Pulse, None, Survivors]:
    """Everything at one radius."""
    survivors = _begin(job, key)
    if job.num_classes <= TARGETS:
        survivors.tell(f"AutoAttack aims at {job.num_classes - 1} classes instead of {TARGETS}: there are no more.")
    if left_out := set(MEMBERS) - set(members_for(job.num_classes)):
        (name,) = left_out
        place = (
            "APGD-DLR runs in its place" if "apgd-dlr" in members_for(job.num_classes) else "nothing takes its place"
        )
        survivors.tell(
            f"AutoAttack ran without {name.upper()}, whose loss compares {CLASSES_OF[name]} classes and here are "
            f"{job.num_classes}; {place}."
        )
    yield from _attack_steps(job, survivors)
    return survivors


def _attack_steps(job: Job, survivors: Survivors) -> Generator[Pulse, None, None]:
    """Run what is left of the four attacks, with a pulse before and a saved state after every batch."""
    for member in members_for(job.num_classes) if job.epsilon > 0 else ():
        targets = survivors.targets(member)
        batches = [targets[start : start + job.batch_size] for start in range(0, len(targets), job.batch_size)]
        for number in range(survivors.batches_done.get(member, 0), len(batches)):
            yield Pulse(f"{job.title}: {member}", number, len(batches), abandonable=True)
            _run_batch(job, survivors, member, batches[number])
            survivors.batches_done[member] = number + 1
            if member == MEMBERS[-1] and number + 1 == len(batches):
                _tell_of_square(job, survivors)
            _save(job, survivors)


def _run_batch(job: Job, survivors: Survivors, member: Member, batch: list[int]) -> None:
    """One attack on one batch; `batch` holds indices into the examples under attack."""
    rows = job.rows[torch.tensor(batch, device=job.rows.device)]
    images, labels = to_pixels(job.split.images[rows]), job.split.labels[rows]
    job.library.attacks_to_run = [member]
    with frozen(job.model), contained(job.compute) as warnings:
        adversarial, classes = job.library.run_standard_evaluation(images, labels, batch_size=len(batch))
    for warning in warnings:
        survivors.tell(warning)
    _require_ball(job, images, adversarial)
    moved = distances(images, adversarial, "linf")
    for place in (classes != labels).nonzero()[:, 0].tolist():
        survivors.mark_broken(batch[place], member, float(moved[place]))


@torch.no_grad()
def _examine(model: nn.Module, split: Split, batch_size: int) -> tuple[str, int]:
    """Hash of weights, examples and the logits of the first batch; and how many classes there are."""
    with frozen(model):
        logits = model(to_pixels(split.images[:batch_size]))
    tensors = {**model.state_dict(), **split.identity(), "first logits": logits}
    return hash_tensors(tensors), int(logits.shape[1])


def _set_up(model: nn.Module, suite: AutoAttackSuite, epsilon: Fraction, compute: Compute, num_targets: int) -> Any:
    with contained(compute):
        library = require_library()(
            model,
            norm=NORMS[suite.norm],
            eps=float(epsilon),
            seed=suite.seed,
            device=compute.device,
            version="standard",
        )
    # In L1 the library's standard version has APGD-T aim at fewer classes than FAB-T.
    library.apgd_targeted.n_target_classes = min(library.apgd_targeted.n_target_classes, num_targets)
    library.fab.n_target_classes = num_targets
    return library


def _key(origin: str, model: nn.Module, suite: AutoAttackSuite, epsilon: Fraction, batch_size: int) -> str:
    """Hash of all that the outcome depends on; `origin` stands for weights, examples and the model's behaviour.

    Equal weights do not make equal models (activation, defence), hence the first logits and the model's own words.
    """
    library = metadata.version(PACKAGE)
    plain = [origin, repr(model), str(epsilon), suite.norm, suite.seed, batch_size, library]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _begin(job: Job, key: str) -> Survivors:
    """The saved state of this very job, or a fresh one."""
    fresh = untouched(key, len(job.rows))
    if job.path is None:
        return fresh
    try:
        saved = load_survivors(job.path, key, len(job.rows))
    except CheckpointError as error:
        fresh.tell(f"{job.title} began anew: {error}.")
        return fresh
    if saved is None:
        return fresh
    saved.tell(f"{job.title} went on from what {job.path} says was done before.")
    return saved


def _save(job: Job, survivors: Survivors) -> None:
    """A state that cannot be written does not end an attack of hours, but is told."""
    if job.path is None:
        return
    try:
        save_survivors(job.path, survivors)
    except OSError as error:
        survivors.tell(f"{job.title} cannot be gone on with later: cannot write {job.path} ({error.strerror}).")


def _tell_of_square(job: Job, survivors: Survivors) -> None:
    """Only masked gradients let an attack without gradients find what the three with gradients missed."""
    count = survivors.broken_by.count("square")
    if count > SUSPICIOUS_SHARE * len(job.split):
        survivors.tell(
            f"{job.title}: Square Attack, which uses no gradients, broke {count} examples that the gradient attacks "
            "left; the gradients may be masked."
        )


def _require_ball(job: Job, images: Tensor, adversarial: Tensor) -> None:
    distance = float(distances(images, adversarial, job.suite.norm).max())
    low, high = torch.aminmax(adversarial)
    if not math.isfinite(distance):
        raise ClafError(f"{job.title} gave an image that is not finite: the model's logits or gradients are not")
    if distance > job.epsilon + max(SLACK, rounding(job.suite.norm, images[0].numel())) or low < 0 or high > 1:
        raise ClafError(
            f"{job.title} left the ball: an image lies {distance:.6f} from its original, and values lie in "
            f"[{low:.6f}, {high:.6f}]"
        )


def _figure(job: Job, survivors: Survivors) -> RobustFigure:
    """The figure; its distances are those of the successful adversarial examples, the only ones the library gives."""
    moved = [distance for distance in survivors.distances if distance is not None]
    return RobustFigure(
        epsilon=format_distance(job.epsilon),
        accuracy=survivors.count / len(job.split),
        attack="autoattack",
        steps=STEPS,
        step_size="adaptive",
        restarts=1,
        decides="own",
        num_examples=len(job.split),
        seed=job.suite.seed,
        norm=job.suite.norm,
        largest_distance=round(max(moved, default=0.0), 6),
        mean_distance=round(sum(moved) / max(1, len(moved)), 6),
        notice="; ".join(unit_notices((job.epsilon,), job.suite.norm, job.split.images[0].numel())),
    )
