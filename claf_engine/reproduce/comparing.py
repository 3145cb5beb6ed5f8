"""Rows of a table against each other, image by image and seed by seed: which differences are noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from torch import Tensor

from claf_engine.accuracy.pairs import Pair, compare
from claf_engine.reproduce.lines import NATURAL, Line


@dataclass(frozen=True)
class Comparison:
    """Two rows under one attack; `column` is its place, or `NATURAL`."""

    first: int
    second: int
    column: int
    pair: Pair


def comparisons(lines: Sequence[Line], num_columns: int) -> list[Comparison]:
    """Every two rows, under every attack that both were measured under with the same seeds on the same images."""
    found = []
    for column in range(NATURAL, num_columns):
        outcomes = [outcomes_of(line, column) for line in lines]
        for first, second in combinations(range(len(lines)), 2):
            seeds = outcomes[first].keys() & outcomes[second].keys()
            ours, theirs = ([outcomes[row][seed] for seed in sorted(seeds)] for row in (first, second))
            if seeds and len({len(each) for each in (*ours, *theirs)}) == 1:
                found.append(Comparison(first, second, column, compare(ours, theirs)))
    return found


def outcomes_of(line: Line, column: int) -> dict[int, Tensor]:
    """Of every seed that was measured under an attack: which images (N,) its network gets right."""
    return {seed: found.outcomes(natural=column == NATURAL) for seed, found in line.measurements(column).items()}


def ties(found: Sequence[Comparison], accuracies: Sequence[float | None], column: int) -> list[bool]:
    """Which rows the best one of a column is ahead of by no more than noise; never the best itself.

    Args:
        found: see `comparisons`.
        accuracies: of the rows, in this column.
        column: its place, or `NATURAL`.
    """
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    best = accuracies.index(max(known)) if known else None
    near = {
        item.second if item.first == best else item.first
        for item in found
        if item.column == column and best in (item.first, item.second) and item.pair.is_noise
    }
    return [row in near for row in range(len(accuracies))]
