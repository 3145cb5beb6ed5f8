"""The list of runs, and what is opened from it: one console after the other, until the person leaves."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from claf_engine.config.alerts import read_alerts
from claf_engine.events.control import Control
from claf_engine.runs.catalogue import Catalogue
from claf_tui.console.launch import ConsoleResult, run_console, tell_failure
from claf_tui.console.runs_app import RunsApp
from claf_tui.console.runs_feed import RunsFeed
from claf_tui.console.silent_runs import SilentRuns
from claf_tui.screens.runs.requests import OpenRequest, RunsView
from claf_tui.words import exit_codes

QUIET = Path(os.devnull)


def browse_runs(root: Path) -> int:
    """Show the list until it is left; what is opened leads back to it, and a run that is resumed does not.

    Args:
        root: the folder of the runs.

    Raises:
        ConfigError: alerts.toml is wrong.
    """
    catalogue, view, alerts = Catalogue.of(root), RunsView(), read_alerts()
    silent = SilentRuns(alerts.no_heartbeat)
    while True:
        result = _list(catalogue, partial(RunsApp, root=root, view=view, alerts=alerts, silent=silent))
        if result.resume is not None:
            from claf_tui.runners import train

            way, command = train.asked_way(result.resume)
            return train.train_in(partial(train.reopen, way, command))
        if result.new is not None:
            from claf_tui.runners import train

            return train.train_in(partial(train.begin_drafted, result.new.draft))
        if result.opened is None:
            tell_failure(result, None)
            return result.return_code
        view = result.opened.view
        shown = _open(result.opened)
        if shown.return_code not in (exit_codes.OK, exit_codes.UNEXPECTED):
            return shown.return_code


def _list(catalogue: Catalogue, app: Callable[..., RunsApp]) -> ConsoleResult:
    return run_console(app, RunsFeed(catalogue), Control(), log_path=QUIET, read_only=True)


def _open(request: OpenRequest) -> ConsoleResult:
    """Show one run, with control where it is live and this user's."""
    # Here, so that the list itself comes at once; it has them loaded in a thread meanwhile.
    from claf_engine.runs.asking import is_served, why_not_asked
    from claf_tui.console.follower import Follower
    from claf_tui.console.opened_run import OpenedRun
    from claf_tui.console.remote import Remote

    is_live = is_served(request.run)
    why_not = why_not_asked(request.run) if is_live else ""
    remote = Remote(request.run) if is_live and not why_not else None
    app = partial(OpenedRun, remote=remote, why_not=why_not, alerts=read_alerts())
    return run_console(app, Follower(request.run), Control(), log_path=QUIET, read_only=True)
