"""The worst case over several balls: an example counts as robust only where it survives in each of them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from claf_engine.accuracy.intervals import CONFIDENCE, wilson
from claf_engine.accuracy.measure import Accuracy
from claf_engine.events import RobustFigure


def over_all(measured: Sequence[Accuracy]) -> Accuracy:
    """Figures of one model on the same images in several balls, and the share of images that survives every attack.

    Args:
        measured: at least one, each with the outcomes of single examples.
    """
    first = measured[0]
    outcomes = tuple(survives for accuracy in measured for survives in accuracy.outcomes)
    survivors = reduce(lambda one, other: one & other, outcomes)
    return replace(
        first,
        robust=tuple(figure for accuracy in measured for figure in accuracy.robust),
        outcomes=outcomes,
        notices=tuple(dict.fromkeys(notice for accuracy in measured for notice in accuracy.notices)),
        union=int(survivors.sum()) / len(survivors),
    )


def union_record(share: float, robust: Sequence[RobustFigure], count: int) -> dict[str, Any]:
    """The worst case as a JSON object.

    Args:
        share: of examples that survive every attack, in [0, 1].
        robust: the figures of these attacks.
        count: examples.
    """
    balls = dict.fromkeys((figure.norm, figure.epsilon) for figure in robust)
    return {
        "robust_accuracy": share,
        "interval": list(wilson(round(share * count), count)),
        "confidence": CONFIDENCE,
        "num_examples": count,
        "balls": [{"norm": norm, "epsilon": epsilon} for norm, epsilon in balls],
    }
