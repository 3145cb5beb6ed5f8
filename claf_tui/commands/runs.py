"""`claf-tui runs`."""

import contextlib
import gc
from collections.abc import Iterator

from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

MAX_NOTICES = 10
"""Runs of which it is said in a sentence that their status is damaged."""


def runs(last: options.Last = None, json: options.Json = False) -> int:
    """List the runs, newest first, with where they are or how they ended."""
    from claf_engine.evaluation.cards import standing_of_run
    from claf_engine.runs import list_runs, runs_root
    from claf_tui.reports import runs as reports

    with _collector_at_rest():
        found = list_runs(runs_root(), last)
        standings = {run.name: standing_of_run(run.directory, run.record) for run in found}
        for notice in [run.notice for run in found if run.notice][:MAX_NOTICES]:
            output.note(notice)
        if json:
            output.records(reports.run_records(found, standings))
        elif found:
            output.show(reports.runs_table(found, standings))
        else:
            output.note(f"there are no runs in {runs_root()} yet; `claf-tui train` starts one")
    return exit_codes.OK


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Spare the garbage collector the records of thousands of runs: plain values hold no circles for it to find."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
