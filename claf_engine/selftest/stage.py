"""Checks of whole loops: stage 2 without waiting for the device, the same run twice, and a checkpoint that moves."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from claf_engine.compute.device import Compute, waits_refused
from claf_engine.events.ticks import Boundary, Tick
from claf_engine.models.hashing import hash_tensors
from claf_engine.runs import to_plain, versions
from claf_engine.selftest.findings import Finding
from claf_engine.selftest.places import NUM_CLASSES, Places
from claf_engine.terms.errors import first_line
from claf_engine.training.checkpoint import (
    Description,
    checkpoint_path,
    restore_state,
    save_checkpoint,
    state_tensors,
)
from claf_engine.training.phases.adversarial import adversarial, retrain, train_encoder
from claf_engine.training.phases.contrastive import contrastive_loss
from claf_engine.training.session import Session

WARM_UPS = 2
"""Steps of a loop that may wait: optimisers take their memory and passes are captured in the first ones."""


def nothing_waits(places: Places) -> Finding:
    """Both loops of stage 2; once warm, no step may make the processor wait for the device.

    What a phase measures before and after its steps reads results, and is left out.
    """
    session = places.session(places.training)
    steps = session.steps_per_sweep
    try:
        play_without_waiting(retrain(session), steps, places.compute)
        session.state.cursor.end_part()
        play_without_waiting(train_encoder(session), steps, places.compute)
    except RuntimeError as error:
        return Finding("fails", first_line(error), f"step {session.state.cursor.step + 1}")
    loss = session.state.mean_loss()
    figure = f"{session.state.cursor.step} steps, mean loss {loss:.3f}"
    if not abs(loss) < float("inf"):
        return Finding("fails", "the loss is not finite", figure, {"loss": loss})
    return Finding("passes", "runs, and no step waits", figure, {"loss": loss, "steps": session.state.cursor.step})


def runs_repeat(places: Places) -> Finding:
    """One epoch of stage 2, twice from the same seed: weights, optimisers, generators and losses."""
    one, other = (_trained(places) for _ in range(2))
    differing = [name for name in one if hash_tensors({name: one[name]}) != hash_tensors({name: other[name]})]
    figure = f"{len(one)} tensors"
    if differing:
        return Finding("fails", f"{len(differing)} tensors differ, {differing[0]} first", figure)
    return Finding("passes", "equal bit for bit", figure)


def checkpoint_moves(places: Places) -> Finding:
    """A checkpoint written here is restored where the reference computes, and the run takes a step there."""
    session = places.session(places.training)
    for _ in train_encoder(session):
        pass
    with TemporaryDirectory() as folder:
        path = checkpoint_path(Path(folder), session.state.cursor.step)
        num_bytes = save_checkpoint(path, session.state, _description(session))
        moved = restore_state(session.config, NUM_CLASSES, places.reference, path)
    here, there = session.state.network.state_dict(), moved.network.state_dict()
    if hash_tensors(here) != hash_tensors(there):
        return Finding("fails", "the restored weights differ", f"{num_bytes} bytes")
    resumed = Session(session.config, places.reference, session.data, moved, session.feature_epochs)
    loss, _ = resumed.feature_step(partial(contrastive_loss, resumed, *places.views(places.reference)), 1)
    figure = f"loss {float(loss.detach()):.3f} of the next step"
    return Finding("passes", "restored, and trains on", figure, {"bytes": num_bytes})


def play_without_waiting(ticks: Iterator[Tick], num_steps: int, compute: Compute) -> None:
    """Play a loop to its end, and refuse waits in its first steps, once it is warm; what comes after them may wait.

    Raises:
        RuntimeError: a step made the processor wait for the device.
    """
    done = 0
    while done < num_steps:
        with waits_refused(compute.device) if done >= WARM_UPS else nullcontext():
            tick = next(ticks)
        done += isinstance(tick, Boundary)
    for _ in ticks:
        pass


def _trained(places: Places) -> dict[str, torch.Tensor]:
    session = places.session(places.training)
    for _ in adversarial(session):
        pass
    return state_tensors(session.state)


def _description(session: Session) -> Description:
    return Description(
        run="self test",
        config=to_plain(session.config),
        phase="self test",
        metrics={},
        classifier="attack",
        class_names=session.data.class_names,
        num_records=0,
        compute=session.compute.record(),
        versions=versions(),
    )
