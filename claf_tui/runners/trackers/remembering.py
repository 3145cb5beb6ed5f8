"""Which trackers a run has had, and which are told of it when it goes on. Names alone are kept, never a secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from claf_engine.runs import RunDirectory
from claf_engine.runs.folder import read_begun
from claf_engine.terms.installation import install_line
from claf_tui.runners.trackers.choosing import LIBRARIES, TrackerName

KEY = "trackers"
"""Of run.json."""


@dataclass(frozen=True)
class Chosen:
    """The trackers that are told of a run, and sentences about those that nobody named."""

    names: tuple[TrackerName, ...]
    notices: tuple[str, ...] = ()


def trackers_for(directory: RunDirectory, named: Sequence[TrackerName], *, declines: bool = False) -> Chosen:
    """Choose who is told of a run, and keep that in its run.json for the next time.

    Args:
        directory: of the run, new or gone on with.
        named: whom a person named now; their libraries are there.
        declines: of those that the run has had, none is taken over; it forgets them.
    """
    had = _kept(directory)
    others = tuple(name for name in had if name not in named)
    taken = () if declines else others
    kept = tuple(name for name in LIBRARIES if name in (*named, *taken))
    if kept != had:
        with directory.chores.attempt("keep the names of the trackers in run.json"):
            directory.note({KEY: list(kept)})
    absent = tuple(name for name in taken if find_spec(LIBRARIES[name]) is None)
    told = tuple(name for name in kept if name not in absent)
    return Chosen(told, _notices(others, absent, declines=declines))


def _kept(directory: RunDirectory) -> tuple[TrackerName, ...]:
    """The known names in run.json, which somebody else may have written."""
    kept = read_begun(directory.path).get(KEY)
    return tuple(name for name in LIBRARIES if name in kept) if isinstance(kept, list) else ()


def _notices(others: Sequence[TrackerName], absent: Sequence[TrackerName], *, declines: bool) -> tuple[str, ...]:
    """A sentence about each tracker that the run has had and that nobody named."""
    if declines:
        return tuple(f"{name} hears no more of this run; --{name} goes back to it" for name in others)
    found = []
    for name in others:
        if name in absent:
            found.append(
                f"{name} is not told, though it was before: {LIBRARIES[name]} is missing; {install_line(name)}"
            )
        else:
            found.append(f"{name} is told, as it was before; --no-trackers declines")
    return tuple(found)
