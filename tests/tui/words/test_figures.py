import math
from datetime import datetime
from zoneinfo import ZoneInfo

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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (247.9, "4:07"),
        (3753, "1:02:33"),
        (93_753, "26:02:33"),
        (359_999, "99:59:59"),
        (360_000, "4d 04:00"),
        (-1, "0:00"),
        (math.nan, "0:00"),
    ],
)
def test_when_something_happened_is_told_to_the_second_or_the_minute_however_long_a_run_is(
    seconds: float, text: str
) -> None:
    assert figures.exact_duration(seconds) == text


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


BERLIN = ZoneInfo("Europe/Berlin")
HOURS, DAYS = 3600.0, 86400.0


def at(*moment: int) -> float:
    return datetime(*moment, tzinfo=BERLIN).timestamp()  # type: ignore[misc]


FRIDAY = at(2026, 11, 27, 12, 5)


@pytest.mark.parametrize(
    ("now", "remaining", "text"),
    [
        (FRIDAY, 2 * HOURS, "ends 14:05"),
        (FRIDAY, 0.0, "ends 12:05"),
        (FRIDAY, -30.0, "ends 12:05"),
        (at(2026, 11, 27, 23, 59), 120.0, "ends Sat 00:01"),
        (FRIDAY, 2 * DAYS + 2 * HOURS, "ends Sun 14:05"),
        (FRIDAY, 6 * DAYS, "ends Thu 12:05"),
        (FRIDAY, 7 * DAYS, "ends 4 Dec 12:05"),
        (FRIDAY, 40 * DAYS, "ends 6 Jan 2027"),
        (at(2026, 12, 31, 23, 0), 2 * HOURS, "ends Fri 01:00"),
    ],
)
def test_the_end_is_a_time_of_day_with_as_much_of_the_date_as_it_needs(now: float, remaining: float, text: str) -> None:
    assert figures.end_time(remaining, now, BERLIN) == text


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (at(2026, 3, 28, 12, 0), "ends Sun 13:00"),  # an hour is missing in this night
        (at(2026, 10, 24, 12, 0), "ends Sun 11:00"),  # and comes twice in this one
    ],
)
def test_the_end_is_told_by_the_clock_that_will_be_on_the_wall_then(now: float, text: str) -> None:
    assert figures.end_time(DAYS, now, BERLIN) == text


def test_the_end_is_told_by_the_clock_of_this_machine() -> None:
    local = datetime.fromtimestamp(FRIDAY + HOURS)
    assert figures.end_time(HOURS, FRIDAY).endswith(f"{local:%H:%M}")


@pytest.mark.parametrize("remaining", [None, math.nan, math.inf, 1e15, 1e300])
def test_an_end_that_no_calendar_knows_is_not_told(remaining: float | None) -> None:
    assert figures.end_time(remaining, FRIDAY) == ""


@pytest.mark.parametrize(
    ("remaining", "text"), [(None, "calibrating"), (750.0, "~12:30 left"), (3599.9, "~59:59 left")]
)
def test_what_is_left_is_a_duration_where_it_is_short(remaining: float | None, text: str) -> None:
    assert figures.time_left(remaining, FRIDAY) == text


def test_what_is_left_for_long_is_the_time_of_its_end() -> None:
    assert figures.time_left(2 * DAYS, FRIDAY) == figures.end_time(2 * DAYS, FRIDAY)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-HOURS, "just now"),
        (59.0, "just now"),
        (60.0, "1 min ago"),
        (3599.0, "59 min ago"),
        (2.9 * HOURS, "2 h ago"),
        (47 * HOURS, "47 h ago"),
        (2 * DAYS, "2 d ago"),
        (4000 * DAYS, "4,000 d ago"),
    ],
)
def test_an_age_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert figures.age(FRIDAY - seconds, FRIDAY) == text


@pytest.mark.parametrize("begun", [0.0, math.nan, math.inf])
def test_an_age_that_nothing_tells_is_a_dash(begun: float) -> None:
    assert figures.age(begun, FRIDAY) == "–"


@pytest.mark.parametrize(
    ("accuracy", "count", "expected"), [(0.31, 200, "±6.4"), (0.0, 10, "±13.9"), (0.31, 0, ""), (None, 200, "")]
)
def test_how_sure_an_accuracy_is_stands_in_points(accuracy: float | None, count: int, expected: str) -> None:
    assert figures.plus_minus(accuracy, count) == expected
