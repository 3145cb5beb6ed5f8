"""What stage 2 keeps for its savings: for how long, and that a resumed run goes on with it."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.runs.header import read_info
from claf_engine.training.checkpoint import Description, restore_state, save_checkpoint
from claf_engine.training.phases import adversarial as stage_2
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.session import Session
from tests.engine.tiny import FP32, state_sha256
from tests.engine.training.phases.variants import VARIANTS, config_of, kept, losses, measured_for_nothing, session_of


def test_features_are_kept_only_while_a_pass_will_replay_them() -> None:
    places = ["features" in names for tick, names in kept(session_of("replay")) if isinstance(tick, Boundary)]
    assert places == 2 * ([True] * 6 + [False] * 3 + [False] * 3)


def test_features_are_dropped_when_retraining_ends() -> None:
    session = session_of("replay once an epoch")
    at_ends = [names for tick, names in kept(session) if isinstance(tick, PartEnd)]
    assert at_ends == [set()] * 4
    assert session.state.features is None


def test_perturbations_are_bytes_and_dropped_with_the_last_epoch() -> None:
    session, places = session_of("warm start"), []
    for _, names in kept(session):
        places.append("perturbations" in names)
        if names:
            assert session.state.perturbations is not None
            assert session.state.perturbations.dtype == torch.int8
            assert session.state.perturbations.shape == (20, 3, 8, 8)
    assert places == [True] * (len(places) - 1) + [False]
    assert session.state.perturbations is None


DESCRIPTION = Description(
    run="20260102-030405-tiny",
    config={},
    phase="2 · adversarial features",
    metrics={},
    classifier=ATTACK_CLASSIFIER,
    class_names=("a", "b", "c", "d"),
    num_records=1,
    compute={},
    versions={},
)


def resumed(session: Session, path: Path) -> Session:
    return replace(session, state=restore_state(session.config, 4, FP32, path))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_goes_on_from_every_boundary_to_the_same_bit(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_2, "adversarial_accuracy", measured_for_nothing)
    session, saved, whole = session_of(variant, num_train=12), [], []
    for tick in adversarial(session):
        if isinstance(tick, Boundary):
            whole.append(float(tick.loss))
        if isinstance(tick, Boundary | PartEnd):
            path = tmp_path / f"{len(saved)}.safetensors"
            save_checkpoint(path, session.state, DESCRIPTION)
            saved.append((path, len(whole), state_sha256(session.state)))
    last = state_sha256(session.state)
    assert len(saved) == len(whole) + 4
    for path, num_done, sha256 in saved:
        again = resumed(session, path)
        assert state_sha256(again.state) == sha256
        assert [loss for _, loss in losses(again)] == whole[num_done:]
        assert state_sha256(again.state) == last


@pytest.mark.parametrize("variant", ["warm start", "all"])
def test_a_run_that_is_left_before_its_first_step_does_not_draw_its_starts_again(variant: str, tmp_path: Path) -> None:
    session, whole = session_of(variant), session_of(variant)
    next(adversarial(session))
    save_checkpoint(tmp_path / "x.safetensors", session.state, DESCRIPTION)
    assert losses(resumed(session, tmp_path / "x.safetensors")) == losses(whole)


def test_a_checkpoint_from_before_there_were_savings_is_restored_without_them(tmp_path: Path) -> None:
    session = session_of("exact")
    save_checkpoint(tmp_path / "x.safetensors", session.state, DESCRIPTION)
    state = restore_state(config_of("all"), 4, FP32, tmp_path / "x.safetensors")
    assert state.features is state.perturbations is None
    assert {tensor.name.split(".")[0] for tensor in read_info(tmp_path / "x.safetensors").tensors} == {
        "network",
        "generator",
        "order",
        "loss_sum",
    }


def test_a_checkpoint_shows_what_it_keeps_for_later(tmp_path: Path) -> None:
    session = session_of("all")
    next(tick for tick in adversarial(session) if isinstance(tick, Boundary))
    save_checkpoint(tmp_path / "x.safetensors", session.state, DESCRIPTION)
    shown = {tensor.name: (tensor.shape, tensor.dtype) for tensor in read_info(tmp_path / "x.safetensors").tensors}
    assert shown["features"] == ((20, 4), "F32")
    assert shown["perturbations"] == ((20, 3, 8, 8), "I8")


def test_what_is_kept_is_no_part_of_the_hash_of_the_weights(tmp_path: Path) -> None:
    session, hashes = session_of("all"), []
    next(tick for tick in adversarial(session) if isinstance(tick, Boundary))
    bare = copy.copy(session.state)
    bare.features = bare.perturbations = None
    for number, state in enumerate((session.state, bare)):
        save_checkpoint(tmp_path / f"{number}.safetensors", state, DESCRIPTION)
        hashes.append(read_info(tmp_path / f"{number}.safetensors").weights_sha256)
    assert hashes[0] == hashes[1]
