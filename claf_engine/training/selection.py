"""What checkpoints and classifiers are chosen by: accuracy under a stronger attack than those of training and probe.

The last point of a short PGD favours the network that masks its gradients best. What the probe's own attack left is
attacked once more on the logit margin, by steps that cross the ball, and any point on the way decides: no gradient that
vanishes in a sure network, and no success that is lost again.
"""

from collections.abc import Generator
from dataclasses import replace

from torch import Tensor, nn

from claf_engine.accuracy.measure import Examples, answer_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Attacked
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.config import ProbeConfig
from claf_engine.data import Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.pixels import format_distance

BATCH = 250


def selection_steps(
    model: nn.Module, split: Split, suite: AttackSuite, outcomes: tuple[Tensor, ...], steps: int, compute: Compute
) -> Generator[Pulse, None, float | None]:
    """Measure what a checkpoint is chosen by, at the probe's first radius above 0.

    Args:
        model: images in [0, 1] to logits.
        split: the N images of the probe.
        suite: the probe's attack.
        outcomes: for each of its radii, which of the images (N,) survived.
        steps: of the stronger attack; 0 leaves it out.
        compute: where; its precision is ignored.

    Returns:
        The share of images in [0, 1] that survive the probe's attack and the stronger one, never above the probe's own
        figure; None where nothing is attacked.

    Raises:
        ClafError: an attacked image lies outside the ball or is not finite.
    """
    survivors = yield from survivor_steps(model, split, suite, outcomes, steps, compute)
    return None if survivors is None else int(survivors.sum()) / len(split)


def survivor_steps(
    model: nn.Module, split: Split, suite: AttackSuite, outcomes: tuple[Tensor, ...], steps: int, compute: Compute
) -> Generator[Pulse, None, Tensor | None]:
    """Which images (N,) are left by what `selection_steps` measures, with the same arguments and errors."""
    index = suite.first_attacked
    if index is None or not steps:
        return None
    stronger = replace(suite, steps=steps, step_size="crossing", restarts=1, decides="any", climbs="margin")
    left = Examples(split, outcomes[index].nonzero()[:, 0], BATCH)
    attacked, epsilon = Attacked.by_its_own_gradients(model), suite.epsilons[index]
    answers = yield from answer_steps(attacked, left, stronger, epsilon, exact_fp32(compute))
    return answers.survivors(left)


def selection_rule(probe: ProbeConfig) -> str:
    """What checkpoints and classifiers are chosen by, in words; empty when probes attack nothing."""
    if not probe.epsilons:
        return ""
    epsilon = next((epsilon for epsilon in probe.epsilons if epsilon and probe.selection_steps), None)
    norm = "" if probe.norm == "linf" else f"{probe.norm.upper()} "
    space = "" if probe.space == "pixel" else f" ({probe.space}, no ball)"
    if epsilon is None:
        return f"validation robust accuracy at {norm}{format_distance(probe.epsilons[0])}{space}"
    attack = f"PGD-{probe.steps} and {probe.selection_steps} crossing steps on the margin"
    return f"validation robust accuracy at {norm}{format_distance(epsilon)}{space} under {attack}"
