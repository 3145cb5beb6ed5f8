"""One run from its directory: the only place where everything is wired together.

`run` is a generator of events. A caller that stops consuming stops the run; every event is in the journal before the
caller sees the next one.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from claf_engine import events as ev
from claf_engine.compute.device import is_out_of_memory, settings_restored
from claf_engine.compute.world import World
from claf_engine.config import RunConfig
from claf_engine.config.alerts import AlertSettings
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run, runs_root
from claf_engine.runs.journal import Journal
from claf_engine.runs.notifying import Notifier
from claf_engine.runs.onlooker import NoJournal
from claf_engine.terms.errors import ClafError, ConfigError, DeviceError, NonFiniteLoss, ProcessLost
from claf_engine.training.agreement import Agreement
from claf_engine.training.conductor import Conductor
from claf_engine.training.opening import opening_steps
from claf_engine.training.saving import newest_sound
from claf_engine.training.state import lower_learning_rates

ONE_VALUE = ("Expected more than 1 value per channel", "BatchNorm needs more than one value")
"""How torch complains of a batch that BatchNorm cannot train on, and how micro-batches do."""


def run(directory: RunDirectory, control: Control, world: World = World()) -> Iterator[ev.Event]:  # noqa: B008 (frozen)
    """Train in a run directory, from its newest valid checkpoint when it has one.

    Args:
        directory: owned by this process; its configuration is what is run. Of several processes the first one owns it,
            and the others look on (see `claf_engine.runs.onlooker`).
        control: polled for pause, stop, probe, checkpoint and live edits; of several processes the first one's counts.
        world: the processes that train together, all of which call this.

    Raises:
        ProcessLost: another process is gone; as after a kill, what is on record stands, and nothing is added.
        ClafError: after a `RunFinished` of status "failed" or "diverged" that says the same.
    """
    journal = Journal(directory.path) if directory.is_owned else NoJournal()
    notifier = Notifier(directory.alerts if directory.is_owned else AlertSettings(), directory.path.name)
    notifier.start()
    recorder = _Recorder(directory, journal, notifier)
    try:
        with settings_restored():
            for event in _train(directory, control, journal, world):
                recorder.record(event)
                if not isinstance(event, ev.RunFinished):
                    yield event
                else:
                    notifier.close()
                yield from recorder.chores_untold(event)
                if isinstance(event, ev.RunFinished):
                    yield event
    except (GeneratorExit, ProcessLost):
        raise
    except BaseException as error:  # noqa: BLE001 (raised again, once it is on record)
        cause = _translate(error)
        failed = recorder.ending(cause)
        with contextlib.suppress(ClafError, OSError):
            if not journal.is_open:
                journal.open()
            recorder.record(failed)
        yield failed
        raise cause from (None if cause is error else error)
    finally:
        notifier.close()
        journal.close()


def train(
    config: RunConfig,
    *,
    name: str = "run",
    root: Path | None = None,
    tell: Callable[[ev.Event], None] = lambda _: None,
) -> ev.RunFinished:
    """Train in a new run folder until the end.

    Args:
        config: what to train; see `resolve_config`.
        name: of the folder, after its date.
        root: where runs lie; by default ./runs, or where CLAF_RUNS_DIR says.
        tell: is called with every event.

    Returns:
        How the run ended: its results on test images, and in `checkpoint` the newest file.

    Raises:
        ClafError: the folder cannot be made, the images cannot be had, or training failed.
    """
    directory = create_run(runs_root() if root is None else root, name, config, [])
    last: ev.Event | None = None
    try:
        for event in run(directory, Control()):
            tell(event)
            last = event
    finally:
        directory.close()
    assert isinstance(last, ev.RunFinished), "a run ends by saying how"
    return last


class _Recorder:
    """Writes every event to the journal, and how the run stands to the status file."""

    def __init__(self, directory: RunDirectory, journal: Journal, notifier: Notifier) -> None:
        self.step, self.elapsed = 0, 0.0
        self._directory = directory
        self._journal = journal
        self._notifier = notifier

    def record(self, event: ev.Event) -> None:
        if isinstance(event, ev.Progressed | ev.StepLogged):
            self.step, self.elapsed = event.step, event.elapsed
        self._notifier.see(event)
        if isinstance(event, ev.Progressed):
            return
        self._journal.append(event)
        if isinstance(event, ev.RunFinished):
            chores = self._directory.chores
            with chores.attempt("flush the journal to the disk"):
                self._journal.sync()
            config = self._directory.config
            summary = {"method": config.method, "data": config.data.source, **records.to_record(event)}
            with chores.attempt("write status.json"):
                self._directory.write_status(summary)

    def ending(self, error: BaseException) -> ev.RunFinished:
        """How a run ends that an error breaks off."""
        if not isinstance(error, NonFiniteLoss):
            return ev.RunFinished("failed", self.step, self.elapsed, reason=_sentence(error))
        return ev.RunFinished(
            "diverged",
            self.step,
            self.elapsed,
            reason=str(error),
            checkpoint=newest_sound(self._directory),
            way_back=lower_learning_rates(self._directory.config, error.optimizers),
        )

    def chores_untold(self, event: ev.Event) -> Iterator[ev.Event]:
        """A notice for each chore that failed since the last event; nothing is recorded after the end of a run."""
        for text in (*self._directory.chores.take_untold(), *self._notifier.take_failures()):
            notice = ev.Notice("warning", text, self.step)
            if not isinstance(event, ev.RunFinished):
                self.record(notice)
            yield notice


def _train(directory: RunDirectory, control: Control, journal: Journal, world: World) -> Iterator[ev.Event]:
    ready = yield from opening_steps(directory, journal, world)
    agreed = control if world.is_single else Agreement(control, world)
    with contextlib.closing(ready.session.data):
        yield from Conductor(ready.session, ready.phases, agreed, (directory, journal), ready.pace).play()


def _translate(error: BaseException) -> BaseException:
    if is_out_of_memory(error):
        return DeviceError(
            "memory ran out; set runtime.recompute = true or runtime.micro_batch, which train the same model in less, "
            "or lower batch_size or model.width"
        )
    if isinstance(error, ValueError) and any(sign in str(error) for sign in ONE_VALUE):
        return ConfigError(
            "BatchNorm cannot train on one value of a channel, which the last batch, of one image, leaves it; set "
            "another batch_size or data.num_train"
        )
    return error


def _sentence(error: BaseException) -> str:
    if isinstance(error, ClafError):
        return str(error)
    return "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
