from itertools import product

import pytest
import torch
from scipy.stats import binomtest, t
from torch import Tensor

from claf_engine.accuracy.pairs import STUDENT_QUANTILES, compare, mcnemar


def outcomes(*groups: tuple[int, bool]) -> Tensor:
    return torch.tensor([right for count, right in groups for _ in range(count)])


def pair_of(both: int, only_first: int, only_second: int, neither: int) -> tuple[Tensor, Tensor]:
    first = outcomes((both, True), (only_first, True), (only_second, False), (neither, False))
    second = outcomes((both, True), (only_first, False), (only_second, True), (neither, False))
    return first, second


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (40, 61), (700, 790)])
def test_the_p_value_is_that_of_the_sign_test_of_scipy(only_first: int, only_second: int) -> None:
    count = only_first + only_second
    expected = binomtest(only_first, count).pvalue if count else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_the_p_value_is_that_of_all_ways_to_share_out_the_images() -> None:
    ways = [sum(way) for way in product((0, 1), repeat=9)]
    expected = sum(abs(one - 4.5) >= abs(2 - 4.5) for one in ways) / len(ways)
    assert mcnemar(2, 7) == expected


def test_a_difference_counts_what_one_model_alone_gets_right() -> None:
    pair = compare(*([each] for each in pair_of(50, 30, 10, 10)))
    assert (pair.difference, pair.only_first, pair.only_second) == (pytest.approx(0.2), (30,), (10,))
    assert pair.low < 0.2 < pair.high
    assert not pair.is_noise


def test_the_interval_of_one_seed_is_that_of_agresti_and_min() -> None:
    """Agresti and Min 2005, section 3: half a pair more in each cell, then the interval of Wald."""
    both, first, second, neither = 794, 150, 86, 570
    pair = compare(*([each] for each in pair_of(both, first, second, neither)))
    count = both + first + second + neither + 2
    b, c = first + 0.5, second + 0.5
    error = ((b + c) - (b - c) ** 2 / count) ** 0.5 / count
    assert (pair.high - pair.low) / 2 == pytest.approx(1.959964 * error)


def test_models_that_agree_on_every_image_differ_by_noise_alone() -> None:
    pair = compare(*([each] for each in pair_of(7, 0, 0, 3)))
    assert pair.difference == 0
    assert pair.low < 0 < pair.high
    assert pair.is_noise


def test_pairs_tell_apart_what_two_intervals_would_not() -> None:
    first, second = pair_of(500, 20, 4, 476)
    assert not compare([first], [second]).is_noise
    shuffled = second[torch.randperm(len(second), generator=torch.Generator().manual_seed(0))]
    assert compare([first], [shuffled]).is_noise


def test_the_other_way_round_is_the_opposite() -> None:
    first, second = pair_of(5, 9, 2, 8)
    there, back = compare([first], [second]), compare([second], [first])
    assert (there.difference, there.low, there.high) == pytest.approx((-back.difference, -back.high, -back.low))
    assert there.p_values == back.p_values


def test_seeds_that_disagree_make_the_interval_wider() -> None:
    one, other = pair_of(40, 30, 10, 20), pair_of(40, 10, 30, 20)
    same = compare([one[0], one[0]], [one[1], one[1]])
    mixed = compare([one[0], other[0]], [one[1], other[1]])
    assert not same.is_noise
    assert mixed.is_noise
    assert (mixed.low, mixed.high) == (-1, 1)


def test_an_image_is_counted_once_however_many_seeds_there_are() -> None:
    one = pair_of(40, 30, 10, 20)
    alone, thrice = compare([one[0]], [one[1]]), compare([one[0]] * 3, [one[1]] * 3)
    assert (thrice.low, thrice.high) == pytest.approx((alone.low, alone.high))
    assert thrice.p_values == alone.p_values * 3


@pytest.mark.parametrize("seeds", [1, 3])
def test_of_equal_models_about_one_in_twenty_differs_by_more_than_noise(seeds: int) -> None:
    draw = torch.Generator().manual_seed(1)
    alarms = 0
    for _ in range(400):
        ease = torch.rand(200, generator=draw)
        first, second = ([torch.rand(200, generator=draw) < ease for _ in range(seeds)] for _ in range(2))
        alarms += not compare(first, second).is_noise
    assert alarms / 400 <= 0.07


def test_the_quantiles_are_those_of_student() -> None:
    assert [float(t.ppf(0.975, freedom)) for freedom in range(1, 10)] == pytest.approx(STUDENT_QUANTILES, abs=5e-4)


@pytest.mark.parametrize(
    ("first", "second"),
    [([], []), ([torch.ones(2)], []), ([torch.ones(2)], [torch.ones(3)]), ([torch.ones(0)], [torch.ones(0)])],
)
def test_what_is_no_pair_is_refused(first: list[Tensor], second: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="a pair needs"):
        compare(first, second)
