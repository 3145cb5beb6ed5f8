"""Opening a checkpoint of a run that may be training: the chosen file may be deleted before it is open. No torch."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from claf_engine.runs.listing import Which, find_checkpoint, is_checkpoint_file
from claf_engine.terms.errors import CheckpointGone

ATTEMPTS = 5
"""Choices that are tried; a run that trains writes a checkpoint before it deletes another."""

Opened = TypeVar("Opened")
Item = TypeVar("Item")
Request = TypeVar("Request")


def open_chosen(reference: str, root: Path, which: Which | int, use: Callable[[Path], Opened]) -> Opened:
    """Choose a checkpoint and open it; one of a run that goes meanwhile is chosen afresh, a few times.

    Args:
        reference: a file, which is never exchanged for another; or a run.
        root: where runs lie.
        which: of the run.
        use: opens the file.

    Raises:
        ClafError: see `find_checkpoint`, and whatever `use` raises.
    """
    for _ in range(0 if is_checkpoint_file(reference) else ATTEMPTS - 1):
        try:
            return use(find_checkpoint(reference, root, which))
        except CheckpointGone:
            continue
    return use(find_checkpoint(reference, root, which))


def afresh_steps(
    request: Request,
    choose: Callable[[Request], Request],
    steps: Callable[[Request], Generator[Item, None, Opened]],
) -> Generator[Item, None, Opened]:
    """Play steps that begin by opening a checkpoint; when it is gone, play them anew with another, a few times.

    Args:
        request: what is asked for, with the file that was chosen.
        choose: the same request with a file chosen afresh.
        steps: of a request.

    Raises:
        ClafError: whatever `choose` and `steps` raise; `CheckpointGone` where there is nothing else to choose.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return (yield from steps(request))
        except CheckpointGone:
            chosen = choose(request)
            if chosen == request:
                raise
            request = chosen
    return (yield from steps(request))
