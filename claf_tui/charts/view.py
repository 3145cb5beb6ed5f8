"""What of a run all its charts show, and how: the common stretch of steps, the horizontal axis, smoothing, the cursor.

Pure: each key or click makes a new view of the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from claf_tui.charts.trend import LEVELS, USUAL_LEVEL

XAxis = Literal["step", "epoch", "clock"]
X_AXES: tuple[XAxis, ...] = ("step", "epoch", "clock")

ZOOM = 2.0
LEAST_SPAN = 4.0
"""Steps that are shown at least."""


@dataclass(frozen=True)
class Extent:
    """The first and the last step that there is anything of."""

    first: float
    last: float

    @property
    def span(self) -> float:
        """Steps from the first to the last."""
        return max(self.last - self.first, 1.0)


@dataclass(frozen=True)
class View:
    """How charts look at a run.

    Attributes:
        span: steps that are shown; None for all.
        end: the last step that is shown; None follows the newest.
        x_axis: what the horizontal axis counts.
        is_x_log: the horizontal axis is logarithmic.
        smoothing: place in `LEVELS`; None for the usual one of each curve.
        cursor: the step that is looked at, if any.
    """

    span: float | None = None
    end: float | None = None
    x_axis: XAxis = "step"
    is_x_log: bool = False
    smoothing: int | None = None
    cursor: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything is shown."""
        return self.span is None

    @property
    def follows(self) -> bool:
        """Whether the newest step stays in view."""
        return self.end is None


def window(view: View, extent: Extent) -> Extent:
    """The steps that are shown."""
    if view.span is None:
        return extent
    span = min(view.span, extent.span)
    last = extent.last if view.end is None else min(max(view.end, extent.first + span), extent.last)
    return Extent(last - span, last)


def zoomed(view: View, extent: Extent, factor: float) -> View:
    """Show fewer steps by a factor above 1, or more by one below; the cursor, or else the middle, stays in its place.

    While the newest step is followed and no cursor is set, it is the right edge that stays.
    """
    shown = window(view, extent)
    span = max(LEAST_SPAN, shown.span / factor)
    if span >= extent.span:
        return replace(view, span=None, end=None)
    if view.cursor is None and view.end is None:
        return replace(view, span=span)
    middle = (shown.first + shown.last) / 2
    about = view.cursor if view.cursor is not None and shown.first <= view.cursor <= shown.last else middle
    share = (about - shown.first) / shown.span
    return _within(replace(view, span=span, end=about + (1 - share) * span), extent)


def panned(view: View, extent: Extent, share: float) -> View:
    """Move what is shown by a share of its width, to the right if positive; at the right edge it follows again."""
    if view.span is None:
        return view
    shown = window(view, extent)
    return _within(replace(view, end=shown.last + share * shown.span), extent)


def followed(view: View) -> View:
    """Keep the newest step in view from now on."""
    return replace(view, end=None)


def reset(view: View) -> View:
    """Show everything again, without a cursor."""
    return replace(view, span=None, end=None, cursor=None)


def with_cursor(view: View, extent: Extent, step: float) -> View:
    """Look at a step; what is shown moves along where the cursor would leave it."""
    step = min(max(step, extent.first), extent.last)
    shown = window(view, extent)
    looked = replace(view, cursor=step)
    if step < shown.first:
        return _within(replace(looked, end=step + shown.span), extent)
    return _within(replace(looked, end=step), extent) if step > shown.last else looked


def moved_cursor(view: View, extent: Extent, num_columns: int, width: int) -> View:
    """Move the cursor by columns of a chart that is `width` of them wide; without one it begins at the newest step."""
    shown = window(view, extent)
    if view.cursor is None:
        return with_cursor(view, extent, shown.last)
    return with_cursor(view, extent, view.cursor + num_columns * shown.span / max(1, width))


def next_x_axis(view: View, offered: Sequence[XAxis] = X_AXES) -> View:
    """Count the next thing on the horizontal axis."""
    place = offered.index(view.x_axis) if view.x_axis in offered else -1
    return replace(view, x_axis=offered[(place + 1) % len(offered)])


def smoothed(view: View, change: int) -> View:
    """Smooth more or less, from the usual level on."""
    level = USUAL_LEVEL if view.smoothing is None else view.smoothing
    return replace(view, smoothing=min(max(level + change, 0), len(LEVELS) - 1))


def _within(view: View, extent: Extent) -> View:
    """Keep what is shown inside of what there is; whoever looks at the newest step follows it."""
    assert view.span is not None
    assert view.end is not None
    if view.end >= extent.last:
        return replace(view, end=None)
    return replace(view, end=max(view.end, extent.first + view.span))
