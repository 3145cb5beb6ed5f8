"""The space budget of the browser: how many rows and cells each pane has. Pure."""

from typing import NamedTuple

AROUND = 2
"""Title and keys."""
FRAME, HEAD = 2, 1
"""Border of a pane, and the heading of a table."""
LEAST_LIST = 6
"""Rows of the list of checkpoints, its frame included, however few there are."""
LIST_SHARE = 0.4
"""Of the rows that title and keys leave, the list has at most so many; the tensors have the rest."""
WIDE = 100
"""Cells from which on the tree has no more room than the statistics beside it."""


class Space(NamedTuple):
    """Rows of the upper pane, and the share of the width that the tree has of the lower ones."""

    list_rows: int
    tree_share: float


def browser_space(width: int, height: int, num_checkpoints: int) -> Space:
    """Share a screen: the list takes what its checkpoints need, up to its share; names of tensors need width."""
    most = max(LEAST_LIST, int((height - AROUND) * LIST_SHARE))
    wanted = num_checkpoints + HEAD + FRAME
    return Space(max(LEAST_LIST, min(most, wanted)), 0.5 if width >= WIDE else 0.6)
