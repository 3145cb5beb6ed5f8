"""All of a run that comes before its first step: where it goes on from, its arithmetic, images, state and records."""

import contextlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from claf_engine import events as ev
from claf_engine.compute.device import NO_MICRO_BATCH, Compute, choose_compute
from claf_engine.compute.world import World
from claf_engine.config import DataConfig, RunConfig, RuntimeConfig
from claf_engine.config.acl import batch_norm_notices
from claf_engine.data import Dataset, dataset_steps, to_pixels
from claf_engine.data.fingerprint import Fingerprint
from claf_engine.events.ticks import Pulse, pump
from claf_engine.models.probing import takes_no_images
from claf_engine.runs import RunDirectory, list_checkpoints, to_plain
from claf_engine.runs.branch import BRANCH, branch_of
from claf_engine.runs.examples import drop_examples
from claf_engine.runs.folder import MEASURED, read_begun
from claf_engine.runs.header import CheckpointInfo, read_info
from claf_engine.runs.journal import Journal
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.averaging import averaging_notices
from claf_engine.training.checkpoint import load_checkpoint, restore_state, weights_sha256
from claf_engine.training.class_notices import missing_classes, scarce_positives
from claf_engine.training.identity import (
    begin_branch,
    compare_images,
    fit_to_images,
    phase_is_over,
    placed_images,
    require_same_settings,
    settled,
)
from claf_engine.training.live_edits import with_edits
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.partner import measured_encoder_notices
from claf_engine.training.phase import Phase
from claf_engine.training.progress import Pace, plan_work
from claf_engine.training.saving import require_room
from claf_engine.training.session import Session
from claf_engine.training.starting import WEIGHTS, require_encoder, start_from
from claf_engine.training.state import TrainState, begin

TEST_PHASE = ev.PhasePlan("test", "test evaluation", 0, 0)


@dataclass(frozen=True)
class Ready:
    """A run that is ready for its next step.

    Attributes:
        pace: began when the session was there.
    """

    session: Session
    phases: tuple[Phase, ...]
    pace: Pace


def opening_steps(directory: RunDirectory, journal: Journal, world: World) -> Generator[ev.Event, None, Ready]:
    """Open a run in its directory, and tell how it starts.

    Args:
        directory: of the run; of several processes the first one owns it.
        journal: opened here, once everything else is there.
        world: the processes that train together.

    Raises:
        ClafError: something that it needs is missing, damaged, or not what it was.
    """
    config = directory.config
    with _starting_point(directory, world) as (start, damaged):
        branch = branch_of(world.tell(read_begun(directory.path).get(BRANCH)))
        if start is not None:
            require_same_settings(start, config, branch)
        compute, notices = _compute_for(config, start, world)
        images, placed = placed_images(config.images, directory.path.name)
        data = yield from _data_steps(images, compute)
        told = (*placed, *_same_images(directory, start, data))
        config, measured = _settle(directory, data)
        state, begun = _state(directory, start, data, compute)
    branched: tuple[str, ...] = ()
    if branch is not None and start is not None and branch.begins_at(start):
        branched = begin_branch(state, branch)
    config = with_edits(config, state.ledger.edits)
    phases = phases_of(config)
    if branched:
        branched += phase_is_over(state.cursor, phases)
    require_encoder(state.network, phases)
    session = Session(config, compute, data, state, feature_epochs(phases))
    require_shares(session)
    pace = Pace(session, phases, plan_work(config, phases, len(data.train), len(data.test)))
    if not world.is_single:
        world.require_same("the weights", weights_sha256(state.network))
    # All that may be missing has been looked at; only now is anything dropped.
    opened = _open_records(directory, journal, start, state) if directory.is_owned else []
    yield _started(session, phases, directory, start)
    for text in (
        *data.notices,
        *missing_classes(data),
        *scarce_positives(config, phases, data),
        *damaged,
        *notices,
        *told,
        *begun,
        *directory.notices,
    ):
        yield ev.Notice("warning", text, state.cursor.step)
    for text in (
        *measured,
        *averaging_notices(config),
        *batch_norm_notices(config.method, config.acl),
        *measured_encoder_notices(config),
    ):
        yield ev.Notice("info", text, state.cursor.step)
    for text in branched:
        yield ev.Notice("info", text, state.cursor.step)
    yield from opened
    return Ready(session, phases, pace)


@contextlib.contextmanager
def _starting_point(directory: RunDirectory, world: World) -> Iterator[tuple[CheckpointInfo | None, list[str]]]:
    """The newest checkpoint that is whole, and a sentence for each newer one that is not; the same for all processes.

    The others have a copy of it, for as long as this lasts, and need not see the run's folder.
    """
    found, damaged = _newest_whole(directory) if directory.is_owned else (None, [])
    with world.copied(None if found is None else found.path) as copy:
        if copy is not None and not directory.is_owned:
            found = read_info(copy)
        yield found, damaged


def _newest_whole(directory: RunDirectory) -> tuple[CheckpointInfo | None, list[str]]:
    """The newest checkpoint that is whole, and a sentence for each newer one that is not."""
    entries = list_checkpoints(directory.path)
    damaged: list[str] = []
    for entry in entries:
        try:
            info, _ = load_checkpoint(entry.path)
        except CheckpointError as error:
            damaged.append(f"passed over a damaged checkpoint: {error}")
            continue
        return info, damaged
    if entries:
        raise CheckpointError(f"no checkpoint of {directory.path.name} is whole: {entries[0].path.name} is damaged too")
    return None, []


def _compute_for(config: RunConfig, start: CheckpointInfo | None, world: World) -> tuple[Compute, list[str]]:
    """Device, precision, layout and threads: a resumed run takes the checkpoint's, to go on bit-identically.

    With more or fewer processes than before it is not bit-identical, and cores are shared out anew.
    """
    if start is None:
        return choose_compute(config.runtime, world), []
    try:
        start_compute = start.metadata["claf.compute"]
        before = {"layout": "channels_last", "micro_batch": NO_MICRO_BATCH, "processes": 1, **start_compute}
        kept = ("threads", "precision", "layout") if before["processes"] == world.size else ("precision", "layout")
        chosen = {name: before[name] for name in kept}
        runtime = RuntimeConfig.model_validate({**dict(config.runtime), **chosen})
    except (KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(
            f"{start.path} does not say how it was computed; go on from an older checkpoint"
        ) from error
    compute = choose_compute(runtime, world)
    now = compute.record()
    if now == before:
        return compute, []
    then = {name: before.get(name) for name in now}
    changed = ", ".join(f"{name} was {then[name]}, is {now[name]}" for name in now if now[name] != then[name])
    return compute, [f"the run goes on with other arithmetic ({changed}): it will not be bit-identical"]


def _data_steps(images: DataConfig, compute: Compute) -> Generator[ev.Event, None, Dataset]:
    """The images; of the processes of a machine the first one downloads and decodes, and the others find that done.

    Raises:
        DataError: they cannot be had, or those of another process are others.
    """
    world = compute.world
    if world.local_rank:
        world.wait()
    data = yield from pump(dataset_steps(images, compute.device), _loading)
    if not world.local_rank:
        world.wait()
    if not world.is_single:
        world.require_same("the images", json.dumps(Fingerprint.of(data).to_record()))
    return data


def _loading(pulse: Pulse) -> Iterator[ev.Event]:
    yield ev.Progressed.of_activity(pulse.activity, pulse.fraction)


def _settle(directory: RunDirectory, data: Dataset) -> tuple[RunConfig, tuple[str, ...]]:
    """Write what the images decide into the settings; gives these, and what was found out in words.

    Raises:
        DataError: see `settled`.
        RunError: the settings cannot be written.
    """
    config, measured = settled(directory.config, data)
    if measured:
        directory.settle(config)
        directory.note({MEASURED: {"mean": config.model.mean, "std": config.model.std}})
    return config, measured


def _same_images(directory: RunDirectory, start: CheckpointInfo | None, data: Dataset) -> tuple[str, ...]:
    """Compare the images with those of the checkpoint, and write into run.json which they are; notices of it.

    Raises:
        DataError: they are others, and that is not accepted.
        RunError: run.json cannot be written.
    """
    now = Fingerprint.of(data).to_record()
    if start is None:
        directory.note({"data": now})
        return ()
    notices = compare_images(start, data, is_accepted=directory.accepts_changed_data)
    if start.metadata.get("claf.data") != now:
        directory.note({"data": now, "data_notices": list(notices)})
    return notices


def _state(
    directory: RunDirectory, start: CheckpointInfo | None, data: Dataset, compute: Compute
) -> tuple[TrainState, tuple[str, ...]]:
    """The state to go on from, and what must be told of the weights that it begins with."""
    config, num_classes = directory.config, len(data.class_names)
    if start is not None:
        state = restore_state(config, num_classes, compute, start.path)
        fit_to_images(state, len(data.train), start, is_accepted=directory.accepts_changed_data)
        return state, ()
    state = begin(config, num_classes, compute, data.image_size)
    if config.model.weights is None:
        return state, ()
    found = start_from(state.network, Path(config.model.weights), read_begun(directory.path))
    directory.note({WEIGHTS: dict(found.record)})
    return state, found.notices


def require_shares(session: Session) -> None:
    """Refuse a last batch that leaves a process without images, where the model cannot compute none.

    Raises:
        ConfigError: it would, and the model cannot.
    """
    size, num_images = session.config.batch_size, len(session.data.train)
    num_last, num_processes = (num_images - 1) % size + 1, session.world.size
    if num_last >= num_processes:
        return
    images = session.compute.arrange(to_pixels(session.data.train.images[:0]))
    if not takes_no_images(session.state.network.encoder, images):
        raise ConfigError(
            f"the last batch, of {num_last} of {num_images} images, leaves some of {num_processes} processes without "
            f"any, and {session.config.model.architecture} cannot compute none; set another batch_size or "
            "data.num_train"
        )


def _open_records(
    directory: RunDirectory, journal: Journal, start: CheckpointInfo | None, state: TrainState
) -> list[ev.Notice]:
    """Open the journal and drop what the run will make again; gives what there is to say of it.

    Raises:
        RunError: there is no room to train, or the journal cannot be opened.
    """
    require_room(directory.checkpoints, state, 2 if directory.config.averaging.decay else 1)
    set_aside = () if start else journal.set_aside()
    num_dropped = journal.open(keep=start.num_records if start else 0)
    with directory.chores.attempt("remove adversarial examples of dropped probes"):
        drop_examples(directory.path, after=start.step if start else -1)
    notices = []
    if set_aside:
        text = f"the run begins anew at step 0; its earlier records are kept in {' and '.join(set_aside)}"
        notices.append(ev.Notice("warning", text, 0))
    if num_dropped and start:
        text = f"{num_dropped} records after step {start.step} were dropped; the run goes on from its checkpoint"
        notices.append(ev.Notice("info", text, start.step))
    if journal.num_damaged:
        notices.append(ev.Notice("warning", _dropped(journal.num_damaged), state.cursor.step))
    return notices


def _dropped(num_damaged: int) -> str:
    if num_damaged == 1:
        return "1 line of the journal was no record and is dropped"
    return f"{num_damaged} lines of the journal were no records and are dropped"


def _started(
    session: Session, phases: tuple[Phase, ...], directory: RunDirectory, start: CheckpointInfo | None
) -> ev.RunStarted:
    data, compute, config = session.data, session.compute, session.config
    steps = session.steps_per_sweep
    return ev.RunStarted(
        run=directory.path.name,
        directory=str(directory.path),
        method=config.method,
        data=data.name,
        class_names=data.class_names,
        num_train=len(data.train),
        num_validation=len(data.validation),
        num_test=len(data.test),
        device=compute.describe(),
        precision=compute.precision,
        layout=compute.layout,
        threads=compute.threads,
        num_parameters=sum(parameter.numel() for parameter in session.state.network.parameters()),
        seed=config.seed,
        phases=(*(phase.plan(steps) for phase in phases), TEST_PHASE),
        config=to_plain(config),
        resumed_from_step=start.step if start else None,
    )
