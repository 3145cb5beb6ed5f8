from pathlib import Path

import torch
from torch import Tensor

from claf_engine.config import RunConfig
from claf_engine.events import RobustFigure
from claf_engine.reproduce.comparing import comparisons, ties
from claf_engine.reproduce.lines import NATURAL, Line, SeedResult
from claf_engine.reproduce.measuring import Measurement, Subject
from claf_engine.reproduce.stored import packed
from claf_engine.reproduce.tables import TABLES, TWO_RADII

SUBJECT = Subject(Path("x.safetensors"), "natural", "ab" * 32, "last")


def measurement(right: Tensor, survivors: Tensor) -> Measurement:
    shares = [float(each.double().mean()) for each in (right, survivors)]
    figure = RobustFigure("8/255", shares[1], "pgd", 10, "2/255", 1, len(right))
    return Measurement(shares[0], figure, SUBJECT, "shapes", "cpu", 1.0, {}, packed(right), packed(survivors))


def row(*seeds: tuple[int, int, int], count: int = 200) -> Line:
    """A row: seed, and how many of the images its network gets right without and under one attack."""
    line = Line(TABLES["table1"].rows[0], RunConfig(), TWO_RADII[:1])
    for seed, right, survivors in seeds:
        found = measurement(torch.arange(count) < right, torch.arange(count) < survivors)
        line.seeds.append(SeedResult(seed, Path("run"), {0: found}))
    return line


def test_every_two_rows_are_compared_under_every_attack() -> None:
    found = comparisons([row((0, 180, 90)), row((0, 180, 60)), row((0, 100, 88))], 1)
    assert [(item.first, item.second, item.column) for item in found] == [
        (first, second, column) for column in (NATURAL, 0) for first, second in ((0, 1), (0, 2), (1, 2))
    ]
    assert [round(item.pair.difference, 3) for item in found] == [0.0, 0.4, 0.4, 0.15, 0.01, -0.14]


def test_only_seeds_that_both_rows_have_are_compared() -> None:
    [natural, _] = comparisons([row((0, 180, 90), (1, 170, 90)), row((1, 160, 90), (2, 100, 90))], 1)
    assert natural.pair.only_first == (10,)
    assert comparisons([row((0, 180, 90)), row((1, 180, 90))], 1) == []


def test_rows_that_were_measured_on_other_numbers_of_images_are_not_compared() -> None:
    assert comparisons([row((0, 180, 90)), row((0, 40, 20), count=50)], 1) == []


def test_a_row_that_the_best_is_ahead_of_by_noise_is_tied_and_the_best_is_not() -> None:
    lines = [row((0, 180, 90)), row((0, 180, 60)), row((0, 100, 89)), row()]
    found = comparisons(lines, 1)
    robust = [line.accuracies()[1] for line in lines]
    assert ties(found, robust, 0) == [False, False, True, False]
    assert ties([], [None, None], 0) == [False, False]
