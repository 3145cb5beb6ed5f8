"""How sure an accuracy is that was measured on some of the images."""

import math
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(successes: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927), which also holds near 0 and 1 and for few examples.

    Args:
        successes: how many of `count` succeeded.
        count: at least 1.
        confidence: in (0, 1).

    Returns:
        Lower and upper bound in [0, 1].

    Raises:
        ValueError: there is nothing to take a proportion of, or more successes than trials.
    """
    if not 0 <= successes <= count or count < 1:
        raise ValueError(f"{successes} of {count} is no proportion")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / count
    shrunk = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / shrunk
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / shrunk
    # At the ends the bound is exactly 0 or 1; rounding would leave 1e-17 of it.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == count else centre + half
    return low, high


def half_width(accuracy: float, count: int) -> float:
    """Half of the width of `wilson`, in [0, 0.5]: what stands after the ± of an accuracy.

    Args:
        accuracy: in [0, 1].
        count: images it was measured on, at least 1.

    Raises:
        ValueError: there are no images.
    """
    low, high = wilson(round(accuracy * count), count)
    return (high - low) / 2


def difference_interval(
    successes: int, count: int, other_successes: int, other_count: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The interval of a difference of two independent proportions, first minus other, from their score intervals.

    Newcombe 1998, method 10. Two models on the same images are not independent, which makes it too wide and never too
    narrow where they get the same images right.

    Returns:
        Lower and upper bound in [-1, 1].

    Raises:
        ValueError: see `wilson`.
    """
    low, high = wilson(successes, count, confidence)
    other_low, other_high = wilson(other_successes, other_count, confidence)
    share, other_share = successes / count, other_successes / other_count
    below = math.hypot(share - low, other_high - other_share)
    above = math.hypot(high - share, other_share - other_low)
    return max(-1.0, share - other_share - below), min(1.0, share - other_share + above)
