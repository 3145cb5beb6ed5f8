import math

import pytest

from claf_tui.words import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.9, "0:59"),
        (247, "4:07"),
        (3753, "1:02:33"),
        (2 * 86400 + 3 * 3600, "2d 03h"),
        (None, "–"),
        (math.inf, "–"),
    ],
)
def test_durations_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


def test_an_accuracy_that_is_not_known_is_a_dash() -> None:
    assert (figures.percent(0.931), figures.percent(None), figures.percent(math.nan)) == ("93.1%", "–", "–")


def test_a_loss_that_is_not_finite_says_so() -> None:
    assert [figures.figure(value) for value in (1.23456, 3e-5, math.inf)] == ["1.235", "3.00e-05", "not finite"]


def test_sizes_and_counts_have_units() -> None:
    assert (figures.size(512), figures.size(3 * 2**20), figures.short_count(12_500), figures.count(1234)) == (
        "512 B",
        "3.0 MiB",
        "12.5k",
        "1,234",
    )


def test_a_distance_between_images_is_written_in_levels() -> None:
    assert [figures.levels(value) for value in (0.0, 0.031373, 0.4498, None, math.nan)] == [
        "0/255",
        "8/255",
        "114.7/255",
        "–",
        "–",
    ]


@pytest.mark.parametrize(
    ("waited", "text"),
    [
        (None, ""),
        (0.0, ""),
        (0.14, ""),
        (0.15, "busy machine: 15% of the time without a core"),
        (1.0, "busy machine: 100% of the time without a core"),
        (7.0, ""),
        (math.nan, ""),
    ],
)
def test_a_load_is_told_from_where_it_matters(waited: float | None, text: str) -> None:
    assert figures.load(waited) == text
