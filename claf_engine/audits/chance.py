"""What sampling error leaves of a share or of a difference: the lower bounds that verdicts compare with thresholds.

An audit makes up to `COMPARISONS` of them. Each lies above the true value in about `LEVEL` of all samples at most, so
that an honest network, one whose true values are nowhere beyond a threshold, is warned of in at most `FAMILY` of all
audits (Bonferroni), however the comparisons depend on one another. No torch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

FAMILY = 0.05
"""Share of audits of an honest network in which chance alone may cause a warning."""
COMPARISONS = 32
"""Of a figure with a threshold, at most, in one audit; `Check.comparisons` counts them."""
LEVEL = FAMILY / COMPARISONS
HALVINGS = 40


@dataclass(frozen=True)
class Estimate:
    """A share in [0, 1], or a difference of two in [-1, 1], as it was found.

    Attributes:
        value: of the examples that were asked.
        at_least: what it is of all examples but for chance: a one-sided lower bound at `LEVEL`.
    """

    value: float
    at_least: float

    def __str__(self) -> str:
        """For a person: "6.0 points (at least 1.3)"."""
        return f"{100 * self.value:.1f} points (at least {100 * self.at_least:.1f})"

    @property
    def percentage(self) -> str:
        """The same of a share that is no accuracy: "6.0 % (at least 1.3)"."""
        return f"{100 * self.value:.1f} % (at least {100 * self.at_least:.1f})"


def share(count: int, total: int, level: float = LEVEL) -> Estimate:
    """A share of examples with its exact bound (Clopper and Pearson 1934).

    The bound of Wilson is no bound at so few counts: of 100 examples of which truly 1 % count, four or more do in
    1.8 % of samples, and Wilson's at one in 600 calls that beyond chance.

    Args:
        count: of `total` examples, how many count.
        total: at least 1.
        level: in (0, 1).

    Raises:
        ValueError: there is nothing to take a share of, or more than all count.
    """
    if not 0 <= count <= total or total < 1:
        raise ValueError(f"{count} of {total} is no share")
    if count == 0:
        return Estimate(0.0, 0.0)
    return Estimate(count / total, _bisected(lambda truth: tail(count, total, truth) <= level, 0.0, count / total))


def difference(more: int, less: int, total: int, level: float = LEVEL) -> Estimate:
    """A difference of two shares of the same examples, with its score bound (Tango 1998).

    Only discordant examples speak. That the bound is above 0 is McNemar's test; above a threshold, the same test of
    a difference that large. Where nothing is `less` by construction, `share` has the sharper bound.

    Args:
        more: examples that count for the first share alone.
        less: examples that count for the second alone.
        total: at least 1.
        level: in (0, 0.5).

    Raises:
        ValueError: there is nothing to take shares of, or more examples are discordant than there are.
    """
    if min(more, less) < 0 or more + less > total or total < 1:
        raise ValueError(f"{more} and {less} discordant of {total} are no pairs")
    largest, value = NormalDist().inv_cdf(1 - level), (more - less) / total
    return Estimate(value, _bisected(lambda truth: score(more, less, total, truth) >= largest, -1.0, value))


def score(more: int, less: int, total: int, truth: float) -> float:
    """Standard deviations between the difference that was found and a true one, in [-1, 1] (Tango 1998).

    The spread is that under the likeliest share of `less` where the difference is true. At 0 it is McNemar's
    (more - less) / sqrt(more + less).
    """
    linear = -more - less + (2 * total - more + less) * truth
    constant = -less * truth * (1 - truth)
    root = math.sqrt(max(0.0, linear * linear - 8 * total * constant))
    likeliest = max(0.0, (root - linear) / (4 * total))
    variance = total * (2 * likeliest + truth * (1 - truth))
    gap = more - less - total * truth
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)


def tail(count: int, total: int, chance: float) -> float:
    """P(X >= count) of X of a binomial distribution with `total` trials of probability `chance`, in [0, 1)."""
    if count <= 0 or chance <= 0:
        return float(count <= 0)
    odds = math.log(chance), math.log1p(-chance)
    whole = math.lgamma(total + 1)
    return min(
        1.0,
        math.fsum(
            math.exp(
                whole - math.lgamma(hit + 1) - math.lgamma(total - hit + 1) + hit * odds[0] + (total - hit) * odds[1]
            )
            for hit in range(count, total + 1)
        ),
    )


def _bisected(is_excluded: Callable[[float], bool], low: float, high: float) -> float:
    """The largest truth that is excluded, where all below it are: `low` is taken to be, `high` is not."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_excluded(middle) else (low, middle)
    return low
