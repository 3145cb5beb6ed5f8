"""The folder of a run whose processes torchrun has started anew. No torch."""

from pathlib import Path

from claf_engine.config.launch import Launch
from claf_engine.runs.folder import read_begun
from claf_engine.runs.listing import run_names
from claf_engine.terms.errors import RunError

LAUNCH = "launch"
"""Key of run.json."""
NUM_SEARCHED = 100
"""So many of the newest runs are searched."""


def run_of_launch(root: Path, launch: Launch) -> Path | None:
    """The newest run that an earlier start of the same launch began, or None."""
    if not launch.agent:
        return None
    try:
        names = run_names(root)[:NUM_SEARCHED]
    except RunError:
        return None
    return next((root / name for name in names if launch.began(read_begun(root / name).get(LAUNCH))), None)
