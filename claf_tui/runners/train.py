"""Runs a training run to its end in the chosen user interface, and says how it ended."""

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from claf_engine import events as ev
from claf_engine import runs
from claf_engine.config import RunConfig
from claf_engine.config.alerts import AlertSettings, read_alerts
from claf_engine.config.presets import DEFAULT_PRESET, parse_override
from claf_engine.events.control import Control
from claf_engine.events.ticks import exhaust
from claf_engine.runs.branch import branch_run
from claf_engine.runs.folder import settings_text
from claf_engine.runs.header import read_info
from claf_engine.runs.resuming import goes_on_in_its_run
from claf_engine.terms.errors import ClafError, ConfigError, ProcessLost
from claf_tui.console.handlers import OnHangup, handled
from claf_tui.reports import output, printers
from claf_tui.reports import runs as reports
from claf_tui.reports.config import printable_toml
from claf_tui.reports.plan import plan_lines
from claf_tui.reports.preview import preview_lines
from claf_tui.reports.streams import OutputLost
from claf_tui.runners.detach import start_detached, telling_begun
from claf_tui.runners.lines import LOG, play_in_lines
from claf_tui.runners.trackers.choosing import TrackerName, make_trackers
from claf_tui.runners.trackers.remembering import Chosen, trackers_for
from claf_tui.runners.trackers.tracking import tracked
from claf_tui.runners.ui_mode import Ui, choose_ui
from claf_tui.state.draft import Draft
from claf_tui.words import exit_codes
from claf_tui.words.plugin_options import plugin_options

if TYPE_CHECKING:
    from claf_engine.compute.world import World
    from claf_tui.screens.checkpoints.actions import ResumeRequest


LEFT_RUNNING = "left running: it goes on in a process of its own, which is starting"
"""Why a run has stopped, until that process has it."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run left the user interface: the exit code, and what the person wants to go on from.

    `goes_on` is the wish that it go on in a process of its own.
    """

    code: int
    resume: "ResumeRequest | None" = None
    goes_on: bool = False


@dataclass(frozen=True)
class Manner:
    """How a run is shown, and what it does when nobody looks any more.

    Attributes:
        ui: auto, tui, plain or jsonl.
        on_hangup: what it does when its terminal goes away.
        begun: descriptor to tell on that the run has begun, in a process that is detached (see `detach`).
        trackers: of other people, which a person named, and which are told what happens.
        declines_trackers: whether those that the run has had before are told no more.
        alerts: file of what a person is told of; None is that in his own folder of settings.
    """

    ui: str = "auto"
    on_hangup: OnHangup = "save"
    begun: int | None = None
    trackers: tuple[TrackerName, ...] = ()
    declines_trackers: bool = False
    alerts: Path | None = None


class RunEngine:
    """The engine of one run directory; `has_started` and `finished` tell afterwards how far it came.

    Args:
        directory: of the run.
        world: the processes that train together; by default this one alone.
        trackers: of other people, which are told what happens; and what is said of them once the run has begun.
    """

    def __init__(
        self,
        directory: runs.RunDirectory,
        world: "World | None" = None,
        trackers: Chosen = Chosen(()),  # noqa: B008
    ) -> None:
        self.directory = directory
        self._world = world
        self._trackers = trackers
        self.has_started = False
        self.finished: ev.RunFinished | None = None

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the run's events. Torch is loaded here, in the thread that trains."""
        from claf_engine.compute.device import own_process
        from claf_engine.training.run import run

        own_process(self.directory.config.runtime)
        together = () if self._world is None else (self._world,)
        for event in tracked(run(self.directory, control, *together), make_trackers(self._trackers.names)):
            self.has_started |= isinstance(event, ev.RunStarted)
            if isinstance(event, ev.RunFinished):
                self.finished = event
            yield event
            if isinstance(event, ev.RunStarted):
                step = event.resumed_from_step or 0
                yield from (ev.Notice("info", text, step) for text in self._trackers.notices)

    def discard_unstarted(self) -> None:
        """Remove the folder of a new run that did not begin, such as for want of its images, or that was left so."""
        if not self.has_started:
            self.directory.discard()

    def leave(self, code: int) -> None:
        """End the process in any thread, whatever the others do."""
        self.discard_unstarted()
        os._exit(code)


def begin(config: RunConfig, name: str | None, command: Sequence[str]) -> runs.RunDirectory:
    """Make the directory of a new run."""
    return runs.create_run(runs.runs_root(), name if name is not None else DEFAULT_PRESET, config, list(command))


def in_form(draft: Draft, train: Callable[[Callable[[], runs.RunDirectory]], int]) -> int:
    """Let a person put a run together in a form, and train it.

    Args:
        draft: to begin with.
        train: trains in the folder that it opens, and gives the exit code.

    Raises:
        ConfigError: there is no terminal for it.
    """
    if choose_ui("auto") != "tui":
        raise ConfigError("--form needs a terminal; without one, --set KEY=VALUE says the same")
    from claf_tui.console.new_run_app import NewRunApp

    app = NewRunApp(draft)
    app.run()
    return exit_codes.OK if app.chosen is None else train(partial(begin_drafted, app.chosen))


def begin_drafted(draft: Draft) -> runs.RunDirectory:
    """Make the directory of a run that was put together in a form; its record names the command that says the same."""
    return begin(draft.config(), draft.name or draft.preset, draft.command())


def with_alerts(directory: runs.RunDirectory, settings: AlertSettings) -> runs.RunDirectory:
    """A run's directory with what a person is told of while it trains."""
    directory.alerts = settings
    return directory


@dataclass(frozen=True)
class WayOn:
    """How a run is gone on with.

    Attributes:
        reference: a run, or a checkpoint file.
        at: of a run, the checkpoint at which a new run branches off; None goes on in the run itself.
        changes: settings of a branch that differ, such as "attack.steps=10".
        name: of a branch.
        accepts_changed_data: whether it may go on with other images than it was trained with.
        restart: begin anew a run that has lost its checkpoints.
    """

    reference: str
    at: runs.Which | int | None = None
    changes: tuple[str, ...] = ()
    name: str | None = None
    accepts_changed_data: bool = False
    restart: bool = False

    @property
    def is_branch(self) -> bool:
        """Whether a new run is asked for in so many words."""
        return self.at is not None or self.name is not None or bool(self.changes)


def reopen(way: WayOn, command: Sequence[str]) -> runs.RunDirectory:
    """Open a run to go on with it; an older checkpoint, or other settings, begin a new run instead.

    Args:
        way: what is gone on with, and how.
        command: the command line, for the record of a new run.

    Raises:
        ClafError: there is no such run or checkpoint, or it cannot be gone on with.
    """
    directory = _reopened(way, command)
    directory.accepts_changed_data = way.accepts_changed_data
    return directory


def _reopened(way: WayOn, command: Sequence[str]) -> runs.RunDirectory:
    root = runs.runs_root()
    path = Path(way.reference).expanduser()
    is_file = os.path.isfile(path) or path.suffix == ".safetensors"
    if is_file and way.at is not None:
        raise ConfigError("--from chooses among the checkpoints of a run; name the run, or leave --from out")
    if way.restart and (is_file or way.is_branch):
        raise ConfigError("--restart begins a run anew that has no checkpoint; name the run and nothing else")
    if is_file:
        read_info(path)
        if not way.is_branch and goes_on_in_its_run(path):
            return runs.open_run(path.absolute().parent.parent)
    elif way.at is not None:
        path = runs.find_checkpoint(way.reference, root, way.at)
    elif way.is_branch:
        raise ConfigError(
            "a run keeps its settings and its name: add --from last, or --from STEP, to branch off from it; some "
            "values can be edited while it goes on (key e, claf-tui steer)"
        )
    else:
        return runs.open_run(runs.find_run(way.reference, root), restart=way.restart)
    return branch_run(path, root, list(command), [parse_override(change) for change in way.changes], way.name)


def dry_run(config: RunConfig, name: str | None) -> int:
    """Print the resolved settings on stdout and the plan on stderr; write nothing.

    Raises:
        DataError: the images are not there, or fewer than the settings ask for.
    """
    from claf_engine.data.preview import preview_steps

    output.text(printable_toml(settings_text(config)))
    for line in plan_lines(config):
        output.note(line)
    preview = exhaust(preview_steps(config.images))
    for line in preview_lines(config.data.source, preview):
        output.note(line)
    output.note(f"would write to {runs.runs_root()}/<date>-<time>-{name or DEFAULT_PRESET}; nothing was written")
    return exit_codes.OK


def train_in(open_directory: Callable[[], runs.RunDirectory], manner: Manner = Manner()) -> int:  # noqa: B008 (frozen)
    """Train until the person leaves; a checkpoint chosen in the browser starts over from there."""
    ui = choose_ui(manner.ui) if manner.begun is None else "plain"
    alerts = read_alerts(manner.alerts)
    while True:
        directory = with_alerts(open_directory(), alerts)
        trackers = trackers_for(directory, manner.trackers, declines=manner.declines_trackers)
        manner = replace(manner, trackers=trackers.names)
        engine = RunEngine(directory, trackers=trackers)
        try:
            outcome = in_console(engine, manner.on_hangup) if ui == "tui" else in_lines(engine, ui, manner)
            if outcome.goes_on:
                with directory.chores.attempt("write status.json"):
                    directory.write_status({"reason": LEFT_RUNNING})
        except (KeyboardInterrupt, SystemExit):
            engine.discard_unstarted()
            raise
        finally:
            directory.close()
        if outcome.goes_on:
            return go_on_detached(directory.path, manner)
        if outcome.resume is None:
            return outcome.code
        open_directory = partial(reopen, *asked_way(outcome.resume))


def go_on_detached(run: Path, manner: Manner = Manner()) -> int:  # noqa: B008 (frozen)
    """Have a saved run go on in a process of its own, though the terminal be closed meanwhile."""
    with handled([signal.SIGHUP], _stay):
        with suppress(OutputLost):
            output.note("the run is saved, and goes on in a process of its own, which starts now")
        told = [f"--{name}" for name in manner.trackers]
        told += [] if manner.alerts is None else ["--alerts", str(manner.alerts)]
        return start_detached(["train", "--resume", str(run), *plugin_options(), *told, "--detach"])


def _stay(_number: int, _frame: FrameType | None) -> None:
    """A hang-up ends nothing here."""


def asked_way(request: "ResumeRequest") -> tuple[WayOn, list[str]]:
    """How to go on as a person asked in the console, and the command that says the same."""
    chosen = str(request.path)
    settings = [word for change in request.changes for word in ("--set", change)]
    return WayOn(chosen, changes=request.changes), ["claf-tui", "train", "--resume", chosen, *settings]


def in_console(engine: RunEngine, on_hangup: OnHangup = "save") -> RunOutcome:
    """Train in the live console and leave a summary in the terminal."""
    from claf_tui.console.history import WithHistory
    from claf_tui.console.launch import run_console, tell_failure
    from claf_tui.console.train_app import TrainingApp

    directory = engine.directory
    log_path = directory.path / LOG

    def make_app(*arguments: Any, **keywords: Any) -> TrainingApp:
        app = TrainingApp(*arguments, alerts=directory.alerts, **keywords)
        app.on_hangup = on_hangup
        return app

    result = run_console(make_app, WithHistory(engine), Control(), log_path=log_path, leave=engine.leave)
    if result.goes_on and engine.finished is not None and engine.finished.status == "stopped":
        return RunOutcome(result.return_code, goes_on=True)
    if result.resume is not None:
        return RunOutcome(result.return_code, result.resume)
    tell_failure(result, log_path if engine.has_started else None)
    if engine.has_started:
        _tell_end(engine.finished, directory.path)
    engine.discard_unstarted()
    return RunOutcome(result.return_code)


def in_lines(engine: RunEngine, ui: Ui, manner: Manner = Manner()) -> RunOutcome:  # noqa: B008 (frozen)
    """Train in this thread and print what happens."""
    directory = engine.directory
    show: Callable[[ev.Event], None] = printers.json_line if ui == "jsonl" else printers.PlainPrinter()
    if manner.begun is not None:
        show = telling_begun(show, manner.begun, directory.path)
    try:
        number = play_in_lines(engine, show, directory.path / LOG, engine.leave, on_hangup=manner.on_hangup)
        ending = exit_codes.Ending(signal=number)
    except ProcessLost:
        raise
    except ClafError as error:
        output.error(str(error))
        engine.discard_unstarted()
        ending = exit_codes.Ending(error=error)
    if ui == "plain" and engine.has_started:
        _tell_end(engine.finished, directory.path)
    return RunOutcome(exit_codes.code_of(ending))


def folder_name(name: str) -> str:
    """Turn the stem of a file into a name that a run's folder may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "run"


def _tell_end(finished: ev.RunFinished | None, directory: Path) -> None:
    """Print how a run ended; the run has its ending whether or not somebody reads of it."""
    try:
        output.show(*reports.run_report(finished, directory))
    except OutputLost as error:
        output.error(f"{error}: the results are in {directory}")
