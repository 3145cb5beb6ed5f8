"""Pictures of the screen as SVG files, kept beside the run that they show."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

FOLDER = "screenshots"
"""Within a run's folder."""


def places(run_directory: Path | None) -> list[Path]:
    """The folders that a picture may go to, the best first: the run's, and the one that one works in."""
    here = Path.cwd()
    # A link that lies in the folder of a run may lead anywhere.
    if run_directory is None or not run_directory.is_dir() or (run_directory / FOLDER).is_symlink():
        return [here]
    return [run_directory / FOLDER, here]


def save_picture(svg: str, folders: Sequence[Path], seconds: float) -> Path:
    """Write a picture into the first folder that takes it, under a name of its own.

    Args:
        svg: the picture.
        folders: where to, the best first; a missing one is made.
        seconds: since the epoch; the name tells them.

    Raises:
        OSError: no folder takes it; that of the last one.
    """
    *better, last = folders
    for folder in better:
        try:
            return _save_in(folder, svg, seconds)
        except OSError:
            continue
    return _save_in(last, svg, seconds)


def _save_in(folder: Path, svg: str, seconds: float) -> Path:
    folder.mkdir(exist_ok=True)
    stem = time.strftime("claf-tui-%Y%m%d-%H%M%S", time.localtime(seconds))
    for number in itertools.count(1):
        path = folder / f"{stem if number == 1 else f'{stem}-{number}'}.svg"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(svg)
        except FileExistsError:
            continue
        return path
    raise AssertionError("numbers do not end")
