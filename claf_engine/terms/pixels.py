"""Distances in pixel space, where a value of an image lies in [0, 1].

A Linf distance therefore lies in [0, 1] too; an L2 distance is a Euclidean length over a whole image, an L1 distance
the sum of all its changes: both are usually above 1 for larger images.

They are exact fractions, so that "8/255" survives a round trip through TOML, JSON and the screen as "8/255".
"""

import math
import re
from collections.abc import Mapping
from fractions import Fraction

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import Norm

Distance = str | float | Fraction
"""A radius or a step size as a caller writes it: "8/255", 0.03 or a Fraction."""

DISTANCE = re.compile(r"[+-]?(\d{1,40} ?/ ?\d{1,40}|(\d{1,40}\.?\d{0,40}|\.\d{1,40})([eE][+-]?\d{1,3})?)", re.ASCII)
"""A fraction or a decimal; bounded, because an exponent of a million digits is no distance."""

RANGE_MARK = ":"
"""Between start, stop and step of a range of radii."""
MAX_RADII = 64
"""The most radii of one curve."""
LIMITS: dict[Norm, int] = {"linf": 1, "l2": 1000, "l1": 1_000_000}
"""The largest distance in each norm; the diagonal of an RGB image of 256x256 pixels has length 443, in L1 196608."""
USUAL_RADII: Mapping[str, str] = {"linf": "8/255", "l2": "0.5", "l1": "12"}
"""The radii that papers report of CIFAR-10, those of a union of balls too (Maini et al. 2020)."""
LONGEST: Norm = "l1"
"""The norm whose distances may be longest: what was once accepted in any norm is read back with it."""


def parse_distance(value: object, norm: Norm = "linf") -> Fraction:
    """Read an epsilon or a step size: "8/255", "0.03", 0.03 or a Fraction; the float of 8/255 is 8/255 again.

    Args:
        value: what was written.
        norm: of the distance; what was once accepted in any norm is read back with `LONGEST`, which accepts more.

    Returns:
        An exact fraction in [0, 1], or up to the limit of L2 or L1.

    Raises:
        ValueError: the value is not a number, not finite, negative, or above the limit of its norm (in Linf with "did
            you mean 16/255?").
    """
    text = value.strip() if isinstance(value, str) else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{text} is not a finite distance; write a fraction such as 8/255")
        if 0 <= value <= 1 and float(levels := Fraction(round(255 * value), 255)) == value:
            return levels
    try:
        if not DISTANCE.fullmatch(text):
            raise ValueError(text)
        distance = Fraction(text.replace(" ", ""))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{text!r} is not a distance; write a fraction such as 8/255 or a number in [0, 1]") from error
    if distance < 0:
        raise ValueError(f"{text} is negative; a distance lies in [0, 1], such as 8/255")
    return require_length(distance, norm, text)


def exact_distance(value: Distance, norm: Norm = "linf") -> Fraction:
    """`parse_distance` for whoever calls the library.

    Raises:
        ConfigError: it is no distance of its norm.
    """
    try:
        return parse_distance(value, norm)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def require_length(distance: Fraction, norm: Norm, text: str | None = None) -> Fraction:
    """Give a distance back that a norm can have; `text` is how it was written.

    Raises:
        ValueError: it is above the limit.
    """
    text = str(distance) if text is None else text
    if norm != "linf" and distance > LIMITS[norm]:
        raise ValueError(f"{text} is above {LIMITS[norm]}, and no two images are that far apart in {norm.upper()}")
    if norm == "linf" and distance > 1:
        hint = f"; did you mean {distance}/255?" if distance.denominator == 1 and distance <= 255 else ""
        raise ValueError(f"{text} is above 1, and images lie in [0, 1]{hint}")
    return distance


def parse_radii(text: str, norm: Norm = "linf") -> tuple[Fraction, ...]:
    """Read one radius, or a range "start:stop:step" with both ends: "0:16/255:2/255" is 0, 2/255, ..., 16/255.

    Returns:
        Exact fractions, ascending, at most `MAX_RADII`, up to the limit of the norm (see `parse_distance`).

    Raises:
        ValueError: a part is no distance (see `parse_distance`), or the range does not ascend in whole steps to its
            stop, or holds too many radii.
    """
    if RANGE_MARK not in text:
        return (parse_distance(text, norm),)
    parts = text.split(RANGE_MARK)
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise ValueError(f"{text!r} is not a range; write start:stop:step, such as 0:16/255:2/255")
    start, stop, step = (parse_distance(part, norm) for part in parts)
    if step == 0:
        raise ValueError(f"{text} never ends, because its step is 0; write start:stop:step, such as 0:16/255:2/255")
    if start > stop:
        raise ValueError(f"{text} begins above its end; write start:stop:step with the smaller radius first")
    num_steps = (stop - start) // step
    last = start + num_steps * step
    if num_steps >= MAX_RADII:
        raise ValueError(f"{text} has more than {MAX_RADII} radii, the most that are measured; take a larger step")
    if last != stop:
        raise ValueError(
            f"{text} passes over its end: the last radius before it is {format_distance(last)}; end the range there, "
            "or take another step"
        )
    return tuple(start + number * step for number in range(num_steps + 1))


def format_distance(distance: Fraction) -> str:
    """Write a distance the way the field does: "8/255" or a short decimal where that is exact, else as a fraction.

    Levels go up to 255/255; a longer distance, which is one of L2 or L1, is "2" or "1.5".
    """
    levels = distance * 255
    if levels.denominator == 1 and distance <= 1:
        return f"{levels.numerator}/255"
    decimal = f"{float(distance):g}"
    return decimal if Fraction(decimal) == distance else str(distance)


def format_levels(distance: float) -> str:
    """Write a measured distance in [0, 1] in levels of an 8-bit image, to a tenth: 0.45 is "114.8/255"."""
    return f"{255 * distance:.1f}".removesuffix(".0") + "/255"
