"""How often the console draws: at every poll where that is cheap, else as often as a small share of a core affords.

What nobody should wait for, such as the answer to a key, is drawn at once; what only moves can move more slowly.
"""

from dataclasses import dataclass

SHARE = 0.02
"""Of one core: what drawing may take while nothing but progress happens."""
SLOWEST = 1.0
"""Seconds after which it is drawn whatever it costs."""


@dataclass(frozen=True)
class Drawn:
    """When something was drawn last, in seconds of the wall clock, and how far the thread's own clock was then."""

    at: float
    cpu: float


def is_due(last: Drawn | None, now: Drawn, share: float = SHARE) -> bool:
    """Whether to draw now: what the last drawing and all since then took of the core has been waited for.

    Args:
        last: just before the last drawing.
        now: now.
        share: of a core that may be taken.
    """
    if last is None:
        return True
    waited = now.at - last.at
    return waited >= SLOWEST or now.cpu - last.cpu <= share * waited
