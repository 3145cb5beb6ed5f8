"""When each step of a run was taken and which epoch it belongs to, in bounded memory. Pure, no Textual."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from claf_tui.state.points import Floats

MAX_POINTS = 1024
"""A track that reaches this many points keeps every second of them."""


@dataclass(frozen=True)
class Track:
    """A quantity that grows with the steps of a run, known at some of them and a straight line between."""

    points: tuple[tuple[float, float], ...] = ()
    stride: int = 1
    num_skipped: int = 0

    def append(self, step: float, value: float) -> "Track":
        """Learn the value at a step, which is not smaller than any before; so is the value."""
        points, last = self.points, (step, value)
        if len(points) > 1 and self.num_skipped + 1 < self.stride:
            return Track((*points[:-1], last), self.stride, self.num_skipped + 1)
        points = (*points, last)
        if len(points) < MAX_POINTS:
            return Track(points, self.stride)
        return Track((*points[:-1:2], last), self.stride * 2)

    def until(self, step: float) -> "Track":
        """Forget what lies after a step."""
        kept = tuple(point for point in self.points if point[0] <= step)
        return self if len(kept) == len(self.points) else Track(kept, self.stride)

    def values(self, steps: "Floats") -> "Floats":
        """The values at steps; before the first and after the last that is known it goes on as it does there."""
        return _along(self._table[:, 0], self._table[:, 1], steps)

    def steps(self, values: "Floats") -> "Floats":
        """The steps at which values were reached."""
        return _along(self._table[:, 1], self._table[:, 0], values)

    @cached_property
    def _table(self) -> "Floats":
        # Here, as in `Series.arrays`: what draws nothing begins without numpy.
        import numpy as np

        return np.array(self.points or ((0.0, 0.0),), dtype=np.float64)


@dataclass(frozen=True)
class Timeline:
    """Clock and epochs over the steps of a run.

    Attributes:
        clock: seconds since the run began, as it counts them itself.
        epochs: epochs of all phases together that were finished.
    """

    clock: Track = field(default_factory=Track)
    epochs: Track = field(default_factory=Track)

    def until(self, step: float) -> "Timeline":
        """Forget what lies after a step."""
        return Timeline(self.clock.until(step), self.epochs.until(step))


def _along(x: "Floats", y: "Floats", places: "Floats") -> "Floats":
    """Interpolate between known points, and go on beyond them at the mean slope of all."""
    import numpy as np

    found = np.interp(places, x, y)
    slope = (y[-1] - y[0]) / (x[-1] - x[0]) if x[-1] > x[0] else 0.0
    beyond: Floats = found + slope * (np.maximum(places - x[-1], 0) - np.maximum(x[0] - places, 0))
    return beyond
