"""A second figure beside every one whose steps cannot cross its ball.

The paper measures with ten steps of 2/255 at every radius. Where that recipe is kept, its figure stays as it is, and a
figure from steps that can cross the ball stands beside it, as one of its own.
"""

from collections.abc import Generator
from dataclasses import replace

from torch import nn

from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.compute.device import Compute
from claf_engine.data import Split
from claf_engine.events.ticks import Pulse


def both_steps(
    model: nn.Module, split: Split, suite: AttackSuite, compute: Compute, batch_size: int = 250
) -> Generator[Pulse, None, Accuracy]:
    """`accuracy_steps`, with a second figure at each radius whose ball the suite's steps cannot cross.

    Raises:
        DataError: see `accuracy_steps`.
        ClafError: likewise.
    """
    measured = yield from accuracy_steps(model, split, suite, compute, batch_size)
    crossing = suite.crossing()
    if crossing is None:
        return measured
    return beside(measured, (yield from accuracy_steps(model, split, crossing, compute, batch_size)))


def beside(first: Accuracy, second: Accuracy) -> Accuracy:
    """Figures of one model on the same images under two attacks, the second's after the first's of the same radius."""
    radii = list(dict.fromkeys(figure.epsilon for figure in (*first.robust, *second.robust)))
    pairs = zip((*first.robust, *second.robust), (*first.outcomes, *second.outcomes), strict=True)
    ordered = sorted(pairs, key=lambda pair: radii.index(pair[0].epsilon))
    return replace(
        first,
        robust=tuple(figure for figure, _ in ordered),
        outcomes=tuple(survives for _, survives in ordered),
        notices=tuple(dict.fromkeys((*first.notices, *second.notices))),
    )
