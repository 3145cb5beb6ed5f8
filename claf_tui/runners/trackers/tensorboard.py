"""Event files for TensorBoard, below the run's folder. TensorBoard itself need not be installed to write them."""

import time
from pathlib import Path
from typing import Any

import tomli_w

from claf_engine import events as ev
from claf_engine.runs.examples import read_clean, read_probed
from claf_engine.terms.errors import ForeignFileError

FOLDER = "tensorboard"
"""Within a run's folder."""


class TensorBoard:
    """Writes event files; of a run that goes on, steps that were written after its checkpoint count no more."""

    name = "tensorboard"

    def __init__(self) -> None:
        self._writer: Any = None
        self._run = Path()

    def begin(self, run: ev.RunStarted) -> str:
        """Open an event file."""
        from tensorboardX import SummaryWriter

        self._run = Path(run.directory)
        purge = None if run.resumed_from_step is None else run.resumed_from_step + 1
        # Files are read in the order of their names, and one of the same second would be written over.
        suffix = f".{time.time_ns()}"
        folder = str(self._run / FOLDER)
        self._writer = SummaryWriter(folder, purge_step=purge, flush_secs=10, filename_suffix=suffix)
        if purge is None:
            self._writer.add_text("settings", "\n".join(f"    {line}" for line in _lines(run)), 0)
        return f"reads {self._run / FOLDER}: tensorboard --logdir {self._run.parent}"

    def scalars(self, step: int, values: dict[str, float], at: float) -> None:
        """Write numbers of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, walltime=at)

    def probed(self, step: int) -> None:
        """Show the pictures of a probe, clean ones once; pictures that are not there or damaged are left out."""
        try:
            clean = read_clean(self._run)
            pictures = read_probed(self._run, step, clean).pictures
        except ForeignFileError:
            return
        self._writer.add_images("examples/clean", clean.pictures, 0)
        self._writer.add_images("examples/attacked", pictures, step)

    def end(self, status: str) -> None:
        """Close the event file."""
        self._writer.add_text("status", status)
        self._writer.close()


def _lines(run: ev.RunStarted) -> list[str]:
    return tomli_w.dumps(dict(run.config)).splitlines()
