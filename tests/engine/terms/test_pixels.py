import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.terms.pixels import MAX_RADII, format_distance, format_levels, parse_distance, parse_radii
from tests.properties import examples

PROPERTY = examples(200)
LEVELS = st.integers(0, 255)


@PROPERTY
@given(LEVELS)
def test_a_distance_in_levels_survives_writing_and_reading(level: int) -> None:
    assert parse_distance(format_distance(Fraction(level, 255))) == Fraction(level, 255)


@PROPERTY
@given(LEVELS)
def test_a_distance_in_levels_is_written_over_255(level: int) -> None:
    assert format_distance(Fraction(level, 255)) == f"{level}/255"


@PROPERTY
@given(st.integers(0, 1000))
def test_a_short_decimal_survives_writing_and_reading(thousandths: int) -> None:
    distance = Fraction(thousandths, 1000)
    assert parse_distance(format_distance(distance)) == distance


def test_a_long_decimal_survives_writing_and_reading() -> None:
    distance = parse_distance("0.0313725490196")
    assert parse_distance(format_distance(distance)) == distance


@PROPERTY
@given(st.fractions(0, 1))
def test_a_fraction_is_itself(distance: Fraction) -> None:
    assert parse_distance(distance) == distance


@PROPERTY
@given(st.integers(0, 99), st.integers(99, 999))
def test_a_written_fraction_is_exact(numerator: int, denominator: int) -> None:
    assert parse_distance(f"{numerator}/{denominator}") == Fraction(numerator, denominator)


@PROPERTY
@given(st.floats(0, 1).filter(lambda value: float(Fraction(round(255 * value), 255)) != value))
def test_a_float_that_is_no_level_is_the_decimal_that_it_prints_as(value: float) -> None:
    assert parse_distance(value) == Fraction(Decimal(str(value)))


@PROPERTY
@given(LEVELS)
def test_the_float_of_a_level_is_that_level_again(level: int) -> None:
    assert parse_distance(level / 255) == Fraction(level, 255)


@pytest.mark.parametrize("value", ["2.0", 3, 1.5, "128/100", Fraction(27), "443.4"])
def test_an_l2_distance_may_be_above_1_and_a_linf_distance_may_not(value: object) -> None:
    assert parse_distance(value, "l2") == Fraction(str(value))
    with pytest.raises(ValueError, match="is above 1, and images lie in"):
        parse_distance(value)


def test_an_l2_distance_longer_than_any_image_is_refused_without_a_guess() -> None:
    with pytest.raises(ValueError, match=r"1001 is above 1000, and no two images are that far apart in L2$"):
        parse_distance("1001", "l2")


@pytest.mark.parametrize(("distance", "text"), [(Fraction(2), "2"), (Fraction(3, 2), "1.5"), (Fraction(1), "255/255")])
def test_a_distance_above_1_is_no_number_of_levels(distance: Fraction, text: str) -> None:
    assert format_distance(distance) == text
    assert parse_distance(text, "l2") == distance


def test_a_range_of_l2_radii_goes_beyond_1() -> None:
    assert parse_radii("0:3:1.5", "l2") == (0, Fraction(3, 2), 3)


@pytest.mark.parametrize("text", ["8/255", " 8/255 ", "8 / 255", "08/255", "8/255\n"])
def test_spaces_around_a_fraction_do_not_matter(text: str) -> None:
    assert parse_distance(text) == Fraction(8, 255)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 1), ("0", 0), ("1", 1), ("255/255", 1), (0.0, 0)])
def test_both_ends_of_the_range_are_distances(value: object, expected: int) -> None:
    assert parse_distance(value) == expected


@pytest.mark.parametrize(
    "value", ["", "eight", "8/", "/255", "8/255/2", "1/0", None, True, [8], "8/255 of 1", b"8/255"]
)
def test_what_is_not_a_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a distance; write a fraction such as 8/255"):
        parse_distance(value)


def test_text_is_never_evaluated() -> None:
    with pytest.raises(ValueError, match="is not a distance"):
        parse_distance("__import__('os').getpid()/10**9")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf", "-inf", "Infinity"])
def test_what_is_not_finite_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write a fraction such as 8/255"):
        parse_distance(value)


@pytest.mark.parametrize(("value", "words"), [(1e308, "above 1"), (1e200, "above 1"), (-1e308, "is negative")])
def test_a_float_whose_levels_are_beyond_any_float_is_refused(value: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_distance(value)


@pytest.mark.parametrize("value", ["-8/255", -1, -0.001, Fraction(-1, 255)])
def test_a_negative_distance_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is negative"):
        parse_distance(value)


@pytest.mark.parametrize(("value", "hint"), [("16", "16/255"), (16, "16/255"), (8.0, "8/255"), ("255", "255/255")])
def test_a_number_of_levels_is_refused_with_the_fraction_that_was_meant(value: object, hint: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean {hint}\\?"):
        parse_distance(value)


@pytest.mark.parametrize("value", ["256", 256, 1.5, "3/2", "1e3"])
def test_a_number_that_is_no_level_is_refused_without_a_guess(value: object) -> None:
    with pytest.raises(ValueError, match=r"above 1, and images lie in \[0, 1\]$"):
        parse_distance(value)


@pytest.mark.parametrize(
    ("distance", "text"),
    [(0.0, "0/255"), (8 / 255, "8/255"), (0.031373, "8/255"), (0.45, "114.8/255"), (1.0, "255/255")],
)
def test_a_measured_distance_is_written_in_levels_to_a_tenth(distance: float, text: str) -> None:
    assert format_levels(distance) == text


@PROPERTY
@given(st.integers(0, 255), st.integers(1, 20), st.integers(0, MAX_RADII - 1))
def test_a_range_holds_both_ends_and_equal_steps_between_them(start: int, step: int, count: int) -> None:
    count = min(count, (255 - start) // step)
    radii = parse_radii(f"{start}/255:{start + count * step}/255:{step}/255")
    assert radii == tuple(Fraction(start + number * step, 255) for number in range(count + 1))


@PROPERTY
@given(st.fractions(0, 1, max_denominator=999), st.fractions(0, 1, max_denominator=999), st.integers(1, MAX_RADII - 1))
def test_a_range_of_any_fractions_is_exact(one: Fraction, other: Fraction, count: int) -> None:
    start, stop = sorted((one, other))
    step = (stop - start) / count if stop > start else Fraction(1, 255)
    radii = parse_radii(f"{start}:{stop}:{step}")
    assert (radii[0], radii[-1]) == (start, stop)
    assert {later - earlier for earlier, later in zip(radii, radii[1:], strict=False)} <= {step}


@PROPERTY
@given(LEVELS)
def test_a_single_radius_is_a_range_of_one(level: int) -> None:
    assert parse_radii(f"{level}/255") == parse_radii(f"{level}/255:{level}/255:1/255") == (Fraction(level, 255),)


@PROPERTY
@given(st.text(alphabet="0123456789/.: e-", max_size=20))
def test_whatever_is_written_is_read_as_ascending_radii_or_refused(text: str) -> None:
    try:
        radii = parse_radii(text)
    except ValueError:
        return
    assert 1 <= len(radii) <= MAX_RADII
    assert list(radii) == sorted(set(radii))
    assert 0 <= radii[0] <= radii[-1] <= 1


def test_the_largest_range_is_still_read_and_one_more_radius_is_not() -> None:
    assert len(parse_radii("0:63/255:1/255")) == MAX_RADII
    with pytest.raises(ValueError, match="has more than 64 radii, the most that are measured"):
        parse_radii("0:64/255:1/255")


@pytest.mark.parametrize("text", [":", "::", "0:1", "0:8/255", "0:1:1/4:1/8", "0::1/255", "0:8/255:"])
def test_what_is_not_three_parts_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="is not a range; write start:stop:step, such as 0:16/255:2/255"):
        parse_radii(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0:16/255:0", "never ends, because its step is 0"),
        ("16/255:0:2/255", "begins above its end"),
        ("0:16/255:3/255", "passes over its end: the last radius before it is 15/255"),
        ("0:16:2", "16 is above 1, and images lie in .*; did you mean 16/255"),
        ("0:a:1/255", "'a' is not a distance"),
        ("0:16/255:-2/255", "-2/255 is negative"),
        ("0:1:1e-300", "has more than 64 radii"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_with_the_fix(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_radii(text)
