"""Which panels of the dashboard a terminal has room for, and how many rows each gets. Pure."""

from dataclasses import dataclass

PROBE, LOSS, METHOD, LOG = "probe", "loss", "method", "log"
PANELS = (PROBE, LOSS, METHOD, LOG)
"""In the order of the keys that choose them: what a run is judged by comes first."""

HEAD_ROWS, KEY_ROWS = 4, 1
LEAST_WIDTH, LEAST_HEIGHT = 100, 28
"""Cells from which on several panels are shown."""
THREE_WIDE = 132
"""Cells from which on three panels stand side by side."""
TABLE_WIDE, TABLE_TALL = 160, 45
"""Cells from which on the figures of the latest probe stand beside their curves."""
END_HEIGHT = 38
"""Rows from which on a summary of how the run ended leaves room for several panels."""


@dataclass(frozen=True)
class Space:
    """What is shown below the head.

    Attributes:
        top: panels across the whole width, one.
        bottom: panels side by side below it; maybe none.
        has_table: the panel of probes shows the figures of the latest one beside its curves.
    """

    top: str
    bottom: tuple[str, ...] = ()
    has_table: bool = False

    @property
    def panels(self) -> tuple[str, ...]:
        """All panels that are shown."""
        return (self.top, *self.bottom)

    def rows(self, height: int, num_more_rows: int = 0) -> tuple[int, int]:
        """Rows of the upper panel and of those below it, borders included.

        Args:
            height: of the terminal.
            num_more_rows: what alerts, a warning and the summary at the end take.
        """
        room = max(0, height - HEAD_ROWS - KEY_ROWS - num_more_rows)
        return (room, 0) if not self.bottom else (room // 2, room - room // 2)


def is_compact(width: int, height: int) -> bool:
    """Whether there is room for one panel only."""
    return width < LEAST_WIDTH or height < LEAST_HEIGHT


def space_of(width: int, height: int, chosen: str, *, is_maximised: bool = False, has_ended: bool = False) -> Space:
    """Share out the room of a terminal of `width` x `height` cells.

    Args:
        width: of the terminal.
        height: of the terminal.
        chosen: the panel that is shown where there is room for one.
        is_maximised: a person wants to see that panel alone.
        has_ended: a summary of how the run ended takes its part.
    """
    if is_maximised or is_compact(width, height) or (has_ended and height < END_HEIGHT):
        return Space(chosen, has_table=is_maximised and chosen == PROBE)
    bottom = (LOSS, METHOD, LOG) if width >= THREE_WIDE else (LOSS, METHOD)
    return Space(PROBE, bottom, has_table=width >= TABLE_WIDE and height >= TABLE_TALL)
