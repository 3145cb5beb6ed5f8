"""Reproduces a table: trains what is missing, measures every row on the test images, and writes the result.

`reproduce` is a generator of events, as a run is, and can be stopped or killed anywhere: runs go on from their last
checkpoint, and what was measured is not measured again.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from filelock import FileLock, Timeout

from claf_engine import events as ev
from claf_engine.events.control import WAITING, Control, Requests
from claf_engine.events.ticks import Pulse, pump
from claf_engine.reproduce.auditing import audited_steps
from claf_engine.reproduce.board import Board
from claf_engine.reproduce.choosing import candidates_of, chosen_steps
from claf_engine.reproduce.forecast import forecast
from claf_engine.reproduce.lines import Line, SeedResult
from claf_engine.reproduce.measuring import Measurer, keep_cards, why_not_measured, worst_case
from claf_engine.reproduce.plan import (
    REPRODUCTIONS,
    ReproductionRequest,
    RunPlan,
    configs_of,
    make_folder,
    plan_run,
    table_of,
    was_edited,
)
from claf_engine.reproduce.report import write_report
from claf_engine.reproduce.rows import in_order
from claf_engine.reproduce.systems import why_not_tried
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run
from claf_engine.terms.errors import ClafError, RunError, RunLocked
from claf_engine.training.progress import PROGRESS_SECONDS
from claf_engine.training.run import run

Found = TypeVar("Found")
HEARTBEAT_SECONDS = 2.0
"""How often a paused measurement looks whether it may go on."""


def reproduce(request: ReproductionRequest, control: Control) -> Iterator[ev.Event]:
    """Fill a table row by row.

    Yields:
        `ReproductionChanged` whenever a row changes, and between them the events of the runs themselves. A run that
        fails makes its row "failed", with the reason, and the next row follows.

    Raises:
        ConfigError: the table, the scale or the data source does not exist.
        RunLocked: another process reproduces the same table.
        RunError: the reproduction's folder cannot be written.
    """
    table = table_of(request)
    board = Board(request, table, configs_of(request))
    with _owned(request):
        yield board.event(None)
        yield from _Filling(board, control).fill()


class _Filling:
    """One pass over a table; `board` holds what is known, the rest is where the pass stands."""

    def __init__(self, board: Board, control: Control) -> None:
        self._board = board
        self._control = control
        self._root = board.request.root / REPRODUCTIONS
        self._measurer = Measurer(self._root)
        self._lacking = why_not_measured(board.request.columns)
        self._num_phases = 0
        self._shown = 0.0

    def fill(self) -> Iterator[ev.Event]:
        self._estimate()
        yield self._board.event(None)
        for index, line in enumerate(self._board.lines):
            yield from self._fill_line(index, line)
            if self._control.stop_requested:
                break
        write_report(self._board)
        yield self._board.event(None)

    def _estimate(self) -> None:
        """Say of every row how long its missing runs and its measurements will take."""
        runs = forecast(self._board.request)
        for index, line in enumerate(self._board.lines):
            line.seconds = sum(item.seconds for item in runs if item.row == index)

    def _fill_line(self, index: int, line: Line) -> Iterator[ev.Event]:
        estimate, line.seconds, has_trained = line.seconds, 0.0, False
        try:
            for seed in range(self._board.request.seeds):
                plan = plan_run(self._board.request, line.row, seed)
                if plan.action != "reuse":
                    has_trained, line.status = True, "running"
                    yield self._board.event(index)
                    plan = yield from self._train(plan, line, seed)
                yield from self._measure(index, line, plan, seed)
        except _Stopped:
            line.status, line.seconds = "waiting", estimate
        except ClafError as error:
            line.status, line.reason = "failed", str(error)
        else:
            line.status = "finished" if has_trained else "reused"
        write_report(self._board)
        yield self._board.event(index)

    def _train(self, plan: RunPlan, line: Line, seed: int) -> Generator[ev.Event, None, RunPlan]:
        """Begin a run or go on with it; its events pass through.

        Raises:
            ClafError: it failed.
            _Stopped: a person asked to stop, and its state is saved.
        """
        directory = self._open(plan)
        started, spent = time.monotonic(), line.seconds or 0.0
        line.seeds.append(SeedResult(seed, directory.path))
        status = ""
        try:
            for event in run(directory, self._control):
                line.seconds = spent + time.monotonic() - started
                if isinstance(event, ev.RunStarted):
                    self._num_phases = len(event.phases)
                    yield event
                    yield self._board.event(self._board.lines.index(line))
                    continue
                if isinstance(event, ev.RunFinished):
                    status = event.status
                yield event
        finally:
            directory.close()
        line.seeds.pop()
        if status != "finished":
            raise _Stopped
        return RunPlan(plan.config, plan.name, "reuse", directory.path, 1.0)

    def _open(self, plan: RunPlan) -> RunDirectory:
        if plan.directory is not None:
            return open_run(plan.directory, restart=not list_checkpoints(plan.directory))
        return create_run(self._board.request.root, plan.name, plan.config, list(self._board.request.command))

    def _measure(self, index: int, line: Line, plan: RunPlan, seed: int) -> Iterator[ev.Event]:
        """Measure one run under the attacks of all columns."""
        assert plan.directory is not None, "trained or found"
        started, spent = time.monotonic(), line.seconds or 0.0
        candidates = candidates_of(plan.directory, line.row)
        line.status = "evaluating"
        result = SeedResult(seed, plan.directory, was_edited=was_edited(plan.directory))
        line.seeds.append(result)
        yield self._board.event(index)
        choice = chosen_steps(self._root, candidates)
        subject = yield from self._serve(choice, "validation images", spent - started)
        for place, column in in_order(line.columns):
            why_not = self._lacking.get(column) or why_not_tried(line.row.system, column)
            if why_not:
                line.asides = tuple(dict.fromkeys((*line.asides, why_not)))
            elif column.attack == "worst":
                result.measurements[place] = worst_case(column, list(result.measurements.values()))
            else:
                steps = self._measurer.measure_steps(subject, column)
                result.measurements[place] = yield from self._serve(steps, "test images", spent - started)
            line.seconds = spent + time.monotonic() - started
            yield self._board.event(index)
        measured = [result.measurements[place] for place in sorted(result.measurements)]
        keep_cards(plan.directory, measured, self._board.request.command)
        if self._board.request.audit:
            audit = audited_steps(self._root, subject, self._board.request.space, self._board.request.command)
            result.audited = yield from self._serve(audit, "audit", spent - started)
            line.seconds = spent + time.monotonic() - started

    def _serve(
        self, steps: Generator[Pulse | ev.DiagnosticFound, None, Found], what: str, offset: float
    ) -> Generator[ev.Event, None, Found]:
        """Run a measurement to its end; it may be paused and stopped at every pulse, for it changes nothing.

        Args:
            steps: the measurement.
            what: is measured, for a person.
            offset: seconds that the row has taken, less the clock's time when it began to be measured.
        """

        def serve(pulse: Pulse | ev.DiagnosticFound) -> Iterator[ev.Event]:
            if isinstance(pulse, Pulse) and time.monotonic() - self._shown >= PROGRESS_SECONDS:
                self._shown = time.monotonic()
                yield self._progressed(pulse, what, offset + time.monotonic())
            yield from self._wait()
            if self._control.stop_requested:
                raise _Stopped

        return pump(steps, serve)

    def _wait(self) -> Iterator[ev.Event]:
        if self._control.take_requests() != Requests():
            yield ev.Notice("warning", "a row is being measured: there is nothing to edit, probe or save")
        if self._control.status not in WAITING:
            return
        yield ev.ControlChanged(0, "paused")
        waited = 0.0
        while seconds := self._control.wait_while_paused(HEARTBEAT_SECONDS):
            waited += seconds
        yield ev.ControlChanged(0, "resumed", waited)

    def _progressed(self, pulse: Pulse, what: str, seconds: float) -> ev.Progressed:
        """Where a measurement is. It is past the phases of the run that went before."""
        return replace(
            ev.Progressed.of_activity(f"{what}, {pulse.activity}", pulse.fraction),
            phase=self._num_phases,
            phase_fraction=pulse.fraction,
            run_fraction=1.0,
            elapsed=seconds,
            phase_elapsed=seconds,
        )


class _Stopped(Exception):
    """A person asked to stop; what is on disk is whole."""


@contextmanager
def _owned(request: ReproductionRequest) -> Iterator[None]:
    """Keep other processes out of the reproduction's folder."""
    make_folder(request)
    lock = FileLock(request.directory / "reproduction.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunLocked(f"another process fills {request.directory}; wait for it or stop it first") from error
    except OSError as error:
        raise RunError(f"cannot lock {request.directory}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
