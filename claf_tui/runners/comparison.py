"""Read runs that are compared, each as it stands now."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from claf_engine.training.spent import epoch_units
from claf_tui.state.compared_run import ComparedRun, read_compared
from claf_tui.state.comparison import KEYS, Comparison, compare
from claf_tui.state.followed import FollowedRun
from claf_tui.state.paired import paired_differences
from claf_tui.words import figures
from claf_tui.words.safe_text import safe


def load_comparison(directories: Sequence[Path]) -> Comparison:
    """Read the folders of runs, A first.

    Raises:
        ForeignFileError: the journal of one is no regular file, or cannot be read.
    """
    runs = [read_run(key, directory) for key, directory in zip(KEYS, directories, strict=False)]
    return compare(runs, paired_differences(runs))


def read_run(key: str, directory: Path) -> ComparedRun:
    """Read the folder of one run.

    Raises:
        ForeignFileError: its journal is no regular file, or cannot be read.
    """
    followed = FollowedRun(directory)
    followed.look()
    run = read_compared(key, directory, followed.state, epoch_units(directory))
    if not followed.num_damaged:
        return run
    lost = figures.lost_lines(followed.num_damaged)
    told = f"passed over {lost} in the journal of {safe(directory.name, 60)}"
    return replace(run, notices=(*run.notices, told))
