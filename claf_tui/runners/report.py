"""Read what a report on a run tells."""

import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from claf_engine.runs import read_config, to_plain
from claf_engine.runs.settings import Settings, settings_of
from claf_engine.terms.errors import RunError
from claf_tui.reports.report_page import Report
from claf_tui.runners.comparison import load_comparison
from claf_tui.state.album import Album
from claf_tui.state.history import read_history


def load_report(directories: Sequence[Path]) -> Report:
    """Read a run, and those that it is compared with.

    Args:
        directories: of the runs, that of the report first.

    Raises:
        ForeignFileError: the journal of one is no regular file, or cannot be read.
    """
    comparison = load_comparison(directories)
    run = comparison.runs[0]
    album = Album(run.directory, () if run.state.run is None else run.state.run.class_names)
    album.look()
    return Report(
        comparison,
        read_history(run.directory),
        album.page(None),
        _settings(run.directory),
        time.time(),
        _version(),
    )


def _settings(directory: Path) -> Settings | None:
    try:
        return settings_of(to_plain(read_config(directory)), directory)
    except RunError:
        return None


def _version() -> str:
    try:
        return metadata.version("claf-tui")
    except metadata.PackageNotFoundError:
        return "(not installed)"
