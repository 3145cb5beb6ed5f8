"""A batch in micro-batches."""

from collections.abc import Iterator

from torch import Tensor


def in_parts(size: int, *batches: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of the same `size` rows of each of some batches (N, ...), from the first rows on; the last may be fewer.

    A batch of no rows, which one of several processes may have, is one part of no rows.
    """
    for start in range(0, max(1, len(batches[0])), size):
        yield tuple(batch[start : start + size] for batch in batches)
