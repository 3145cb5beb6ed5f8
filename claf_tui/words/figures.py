"""Numbers as people read them: durations, times of day, sizes, counts, percentages, losses. Pure functions."""

import math
from datetime import datetime, tzinfo

from claf_engine.accuracy.intervals import half_width
from claf_engine.compute.contention import BUSY
from claf_engine.terms.pixels import format_levels

UNKNOWN = "–"
CALIBRATING = "calibrating"
"""In place of an estimate that is not worth anything yet."""
NAMED_DAYS = 6
"""So many days ahead the name of a day still means one day only."""


def duration(seconds: float | None) -> str:
    """Write a duration as 4:07, 1:02:33 or 2d 03h; unknown is a dash."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds_left = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02d}h"
    return f"{hours}:{minutes:02d}:{seconds_left:02d}" if hours else f"{minutes}:{seconds_left:02d}"


def units(value: float | None) -> str:
    """Write forward passes an image as 318 or 314.6; unknown is a dash."""
    return UNKNOWN if value is None else f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def exact_duration(seconds: float) -> str:
    """Write in at most 8 characters when something happened since a start: 4:07, 26:02:33; from 100 h on 4d 04:10."""
    whole = max(0, int(seconds)) if math.isfinite(seconds) else 0
    hours, minutes = divmod(whole // 60, 60)
    if hours >= 100:
        return f"{hours // 24}d {hours % 24:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def moment(at: float, prefix: str = "", zone: tzinfo | None = None) -> str:
    """Write a time of day, 14:05:33; nothing where no calendar goes so far.

    Args:
        at: seconds since the epoch.
        prefix: written before it.
        zone: whose clock is meant; None is this machine's.
    """
    try:
        return f"{prefix}{datetime.fromtimestamp(at, zone):%H:%M:%S}"
    except (OverflowError, OSError, ValueError):
        return ""


def end_time(remaining: float | None, now: float, zone: tzinfo | None = None) -> str:
    """Write when something ends: "ends 14:05" today, "ends Sun 14:05" within six days, else with the date.

    Args:
        remaining: seconds until then; where they are unknown, or no calendar goes so far, the text is empty.
        now: seconds since the epoch.
        zone: whose clock is meant; None is this machine's.
    """
    if remaining is None or not math.isfinite(remaining):
        return ""
    try:
        today = datetime.fromtimestamp(now, zone)
        end = datetime.fromtimestamp(now + max(0.0, remaining), zone)
    except (OverflowError, OSError, ValueError):
        return ""
    days = (end.date() - today.date()).days
    if not days:
        return f"ends {end:%H:%M}"
    if days <= NAMED_DAYS:
        return f"ends {end:%a %H:%M}"
    return f"ends {end.day} {end:%b %H:%M}" if end.year == today.year else f"ends {end.day} {end:%b %Y}"


def age(begun: float, now: float) -> str:
    """Write how long ago something began: "just now", "5 min ago", "2 h ago", "3 d ago"; unknown is a dash.

    Args:
        begun: seconds since the epoch; 0 where that is not known.
        now: likewise.
    """
    if not begun or not math.isfinite(begun):
        return UNKNOWN
    seconds = int(now - begun)
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    return f"{seconds // 3600} h ago" if seconds < 2 * 86400 else f"{seconds // 86400:,} d ago"


def time_left(remaining: float | None, now: float) -> str:
    """Write what is left as "~12:30 left"; where that is an hour or more, the time of day when it ends."""
    if remaining is None or not math.isfinite(remaining):
        return CALIBRATING
    return f"~{duration(remaining)} left" if remaining < 3600 else end_time(remaining, now)


def load(waited: float | None) -> str:
    """Say that others use the cores, where a process waited for more than a little of its time; else nothing."""
    if waited is None or not BUSY <= waited <= 1:
        return ""
    return f"busy machine: {percent(waited, 0)} of the time without a core"


def threads(number: int) -> str:
    """Write a number of threads: "1 thread", "2 threads"."""
    return f"{number} thread{'' if number == 1 else 's'}"


def size(num_bytes: int) -> str:
    """Write a number of bytes with a binary unit."""
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def count(value: float) -> str:
    """Write a count with a thousands separator."""
    return f"{value:,.0f}" if math.isfinite(value) else UNKNOWN


def short_count(value: float) -> str:
    """Write a count in a few characters: 950, 1.2k, 34k, 1.5M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.4g}"


def lost_lines(number: int) -> str:
    """How many lines of a file are of no use, as in "1 line that tells nothing"."""
    return "1 line that tells nothing" if number == 1 else f"{number:,} lines that tell nothing"


def exact_count(value: float) -> str:
    """Write a round count in as few characters as tell it from others: 950, 1.25k, 34k, 1.5M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.15g}{unit}"
    return f"{value:.15g}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """Write a fraction as a percentage; unknown is a dash."""
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    return f"{100 * fraction:.{digits}f}%"


def plus_minus(accuracy: float | None, num_examples: int) -> str:
    """How sure an accuracy is, in points, as in "±6.4"; nothing where it, or the number of images, is unknown.

    Args:
        accuracy: in [0, 1], or None.
        num_examples: images it was measured on; 0 where nothing tells.
    """
    if accuracy is None or num_examples <= 0:
        return ""
    return f"±{100 * half_width(accuracy, num_examples):.1f}"


def figure(value: float | None) -> str:
    """Write a loss or a learning rate with four significant digits; not-a-number is written as what it is."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"{value:.2e}"
    return f"{value:.4g}"


def levels(distance: float | None) -> str:
    """Write a distance between images in levels of 255; unknown is a dash."""
    return UNKNOWN if distance is None or not math.isfinite(distance) else format_levels(distance)
