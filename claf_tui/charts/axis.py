"""Axes: bounds that leave NaN out, and ticks at round numbers. Pure functions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from claf_tui.state.points import Floats
from claf_tui.words import figures

_CLOCK_UNITS: tuple[int, ...] = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
"""Steps between times on a clock, in seconds."""
MAX_OFF = 0.01
"""How far the label of a tick may lie from it, as a share of the room between ticks."""
MAX_DIGITS = 13
"""Decimals of labels: ticks are never closer together than an axis can tell apart."""


@dataclass(frozen=True)
class Axis:
    """A range of values on `length` dots; with `is_log` equal ratios take equal room."""

    low: float
    high: float
    is_log: bool = False

    def place(self, values: Floats, length: int) -> Floats:
        """Map values to [0, length - 1]; what a logarithm does not have becomes NaN."""
        low, high, placed = self.low, self.high, values
        if self.is_log:
            placed = np.log10(np.where(values > 0, values, np.nan))
            low, high = math.log10(low), math.log10(high)
        position: Floats = (placed - low) / (high - low) * (length - 1)
        return position

    def value(self, place: float, length: int) -> float:
        """The value at a place in [0, length - 1]: what `place` maps there."""
        share = place / max(1, length - 1)
        if self.is_log:
            return float(10 ** (math.log10(self.low) * (1 - share) + math.log10(self.high) * share))
        return self.low + share * (self.high - self.low)


def value_axis(arrays: Iterable[Floats], *, include: tuple[float, float] | None = None, is_log: bool = False) -> Axis:
    """Choose bounds that hold all finite values, with a little room around them.

    Args:
        arrays: the values; NaN, infinite and (with `is_log`) non-positive ones do not count.
        include: a range that is always shown.
        is_log: whether the axis is logarithmic.
    """
    values = np.concatenate([np.asarray(array, dtype=np.float64) for array in arrays] or [np.zeros(0)])
    values = values[np.isfinite(values) & ((values > 0) | (not is_log))]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.1, 1.0)
    if is_log:
        return _log_axis(low, high)
    if include is not None:
        low, high = min(low, include[0]), max(high, include[1])
    if high - low < 1e-12 * max(1.0, abs(high)):
        margin = abs(high) * 0.1 or 1.0
        low, high = low - margin, high + margin
    margin = 0.04 * (high - low)
    padded_low = low - margin if low < 0 else max(0.0, low - margin)
    if include is None:
        return Axis(padded_low, high + margin)
    return Axis(low if low == include[0] else low - margin, high if high == include[1] else high + margin)


def ticks(axis: Axis, most: int) -> list[float]:
    """Choose round values inside an axis: at most `most` of them, but two at least."""
    if axis.is_log:
        return _log_ticks(axis, max(2, most))
    found: list[float] = []
    power = math.floor(math.log10((axis.high - axis.low) / most)) - 1
    for step in (factor * 10.0**exponent for exponent in range(power, power + 4) for factor in (1, 2, 2.5, 5)):
        first = math.ceil(axis.low / step - 1e-9)
        last = math.floor(axis.high / step + 1e-9)
        if last - first + 1 < 2:
            break
        found = [number * step for number in range(first, min(last, first + 99) + 1)]
        if len(found) <= most:
            break
    return found if 2 <= len(found) <= max(4, most) else [axis.low, axis.high]


def labels(values: list[float], *, is_percent: bool = False) -> list[str]:
    """Write ticks with as many decimals as tell them apart."""
    factor, kind = (100.0, "f") if is_percent else (1.0, "f")
    if not is_percent and any(abs(value) >= 1e4 or abs(value) < 1e-3 for value in values if value != 0):
        kind = "e"
    numbers = [factor * value for value in values]
    tolerance = MAX_OFF * min((abs(b - a) for a, b in pairwise(numbers)), default=abs(numbers[0]) if numbers else 0.0)
    written: list[str] = []
    for digits in range(MAX_DIGITS):
        written = [f"{number:.{digits}{kind}}" for number in numbers]
        if all(abs(float(text) - number) <= tolerance for text, number in zip(written, numbers, strict=True)):
            break
    if is_percent:
        return [f"{text}%" for text in written]
    return [_exponent(text) for text in written] if kind == "e" else written


def step_labels(values: list[float]) -> list[str]:
    """Write step counts in a few characters, but not so few that two of them look alike."""
    return [figures.exact_count(value) for value in values]


def clock_ticks(axis: Axis, most: int) -> list[float]:
    """Choose round times inside an axis of seconds, at most `most` of them."""
    span = axis.high - axis.low
    step = next((unit for unit in _CLOCK_UNITS if span / unit <= most), _CLOCK_UNITS[-1] * math.ceil(span / 86400e3))
    first = math.ceil(axis.low / step - 1e-9)
    return [float(number * step) for number in range(first, math.floor(axis.high / step + 1e-9) + 1)][: most + 1]


def clock_labels(values: list[float]) -> list[str]:
    """Write times since the start: seconds up to minutes, minutes up to hours, days beyond two."""
    return [_clock_label(round(value)) for value in values]


def _clock_label(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    if days and seconds >= 2 * 86400:
        return f"{days}d{rest // 3600:02d}h" if rest else f"{days}d"
    return figures.duration(seconds) if seconds < 3600 else f"{seconds // 3600}:{seconds % 3600 // 60:02d}h"


def _exponent(text: str) -> str:
    """Write 1.50e+04 as 1.5e4."""
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return "0" if float(mantissa) == 0 else f"{mantissa}e{int(exponent)}"


def _log_axis(low: float, high: float) -> Axis:
    if high / low < 1.5:
        low, high = low / 1.25, high * 1.25
    return Axis(low * 0.95, high * 1.05, is_log=True)


def _log_ticks(axis: Axis, most: int) -> list[float]:
    exponents = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    inside: list[float] = []
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        inside = [f * 10.0**e for e in exponents for f in factors if axis.low <= f * 10.0**e <= axis.high]
        if len(inside) <= most:
            break
    if len(inside) > most:
        inside = inside[:: math.ceil(len(inside) / most)]
    return inside if len(inside) >= 2 else ticks(Axis(axis.low, axis.high), most)
