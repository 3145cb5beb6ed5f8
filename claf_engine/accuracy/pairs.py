"""Two models compared on the same images, pair by pair: what one image says of both is no noise between them."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from claf_engine.accuracy.intervals import CONFIDENCE

NORMAL_QUANTILE = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
STUDENT_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Of Student's distribution at 97.5 % with 1 to 9 degrees of freedom; of more the last, which is a little too wide."""


@dataclass(frozen=True)
class Pair:
    """How two models differ on the same images: the first minus the second.

    Attributes:
        difference: of their accuracies, in [-1, 1], the mean over seeds.
        low, high: its interval, which counts the choice of images and, from two seeds on, that of seeds.
        only_first: images that the first model alone gets right, for each seed.
        only_second: the same of the second.
        p_values: of McNemar's exact test, for each seed.
    """

    difference: float
    low: float
    high: float
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    p_values: tuple[float, ...]

    @property
    def is_noise(self) -> bool:
        """Whether models of the same accuracy would differ so much now and then."""
        is_insignificant = len(self.p_values) == 1 and self.p_values[0] > 1 - CONFIDENCE
        return is_insignificant or self.low <= 0 <= self.high


def compare(first: Sequence[Tensor], second: Sequence[Tensor]) -> Pair:
    """Compare two models, each trained with some seeds.

    The interval adds two variances. That of the images is the one of a paired difference, averaged over seeds, with
    half an image more on either side (Agresti and Min 2005), so that it is not 0 where no image tells the models apart.
    That of the seeds is the one of the differences that seeds give, by Student's distribution.

    Args:
        first: for each of S >= 1 seeds which images (N,) the first model gets right, bool.
        second: the same of the second model, seed by seed and image by image.

    Raises:
        ValueError: there are no seeds or images, or not as many of both models.
    """
    if not first or len(first) != len(second) or any(one.shape != first[0].shape for one in (*first, *second)):
        raise ValueError("a pair needs the same seeds and images of both models, at least one of each")
    if not (count := len(first[0])):
        raise ValueError("a pair needs at least one image")
    per_seed = [one.double() - other.double() for one, other in zip(first, second, strict=True)]
    per_image = sum(per_seed[1:], start=per_seed[0]) / len(per_seed)
    difference = float(per_image.mean())
    only_first = tuple(int((each > 0).sum()) for each in per_seed)
    only_second = tuple(int((each < 0).sum()) for each in per_seed)
    half = math.hypot(
        NORMAL_QUANTILE * _image_error(float(per_image.square().sum()), difference, count),
        _seed_half_width([float(each.mean()) for each in per_seed]),
    )
    return Pair(
        difference,
        max(-1.0, difference - half),
        min(1.0, difference + half),
        only_first,
        only_second,
        tuple(mcnemar(one, other) for one, other in zip(only_first, only_second, strict=True)),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test, two-sided: whether images that one model alone gets right favour one.

    Args:
        only_first: images that the first model alone gets right.
        only_second: the same of the second.

    Returns:
        In (0, 1]; 1 where there is no such image.
    """
    count, fewer = only_first + only_second, min(only_first, only_second)
    ways, total = 1, 1
    for taken in range(fewer):
        ways = ways * (count - taken) // (taken + 1)
        total += ways
    return min(1.0, float(Fraction(2 * total, 2**count)))


def _image_error(sum_of_squares: float, difference: float, count: int) -> float:
    """Standard error of a paired difference by the choice of its images."""
    padded = count + 2
    mean = difference * count / padded
    return math.sqrt(max(0.0, (sum_of_squares + 1) / padded - mean * mean) / padded)


def _seed_half_width(differences: Sequence[float]) -> float:
    """How far the mean of what several seeds give may lie from that of all seeds; 0 of a single one."""
    if len(differences) < 2:
        return 0.0
    freedom = min(len(differences) - 1, len(STUDENT_QUANTILES))
    return STUDENT_QUANTILES[freedom - 1] * statistics.stdev(differences) / math.sqrt(len(differences))
