from pathlib import Path

import pytest
import torch
from torch import nn

from claf_engine.models.network import ADVERSARIAL
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training import companions
from claf_engine.training.checkpoint import load_companion, restore_state, save_checkpoint
from claf_engine.training.companions import Surroundings, build_companion
from claf_engine.training.session import Session
from claf_engine.training.state import OPTIMIZER_SETTINGS, optimizer_parts, trained_modules
from tests.engine.tiny import FP32, state_sha256, tiny_config, tiny_session
from tests.engine.training.test_checkpoint import DESCRIPTION

STEPPED = "encoder+turns"


def _turns(surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    """A head that tells four turns of an image apart, with a BatchNorm."""
    head = nn.Sequential(nn.BatchNorm1d(surroundings.num_features), nn.Linear(surroundings.num_features, 4))
    with torch.no_grad():
        for weight in head.parameters():
            weight.uniform_(0.1, 1, generator=generator)
    return head


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(companions, "COMPANIONS", {"turns": _turns})
    monkeypatch.setitem(OPTIMIZER_SETTINGS, STEPPED, "supervised.optimizer")
    return tiny_session()


def take_steps(session: Session, count: int) -> None:
    images = torch.linspace(0, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)
    for number in range(count):
        logits = session.companion("turns")(session.state.network.encoder(images))
        session.step_optimizer(STEPPED, logits.square().sum(), number, 10)


def test_it_is_built_once_and_depends_on_the_seed_and_its_name_alone(session: Session) -> None:
    before = {name: stream.get_state() for name, stream in session.state.generators.items()}
    head = session.companion("turns")
    assert session.companion("turns") is head
    assert all(torch.equal(stream.get_state(), before[name]) for name, stream in session.state.generators.items())
    other = tiny_session(tiny_config(seed=1)).companion("turns")
    again = tiny_session().companion("turns")
    assert all(torch.equal(one, two) for one, two in zip(head.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(one, two) for one, two in zip(head.parameters(), other.parameters(), strict=True))


def test_an_unknown_name_is_a_sentence(session: Session) -> None:
    with pytest.raises(ConfigError, match="no network 'other' to train beside the encoder"):
        session.companion("other")
    with pytest.raises(ConfigError, match="no network 'other'"):
        build_companion("other", Surroundings(session.config, 4, 4, None), torch.Generator())


def test_its_optimiser_steps_it_together_with_the_encoder(session: Session) -> None:
    head = session.companion("turns")
    before = [weight.detach().clone() for weight in (*head.parameters(), *session.state.network.encoder.parameters())]
    take_steps(session, 1)
    after = [*head.parameters(), *session.state.network.encoder.parameters()]
    assert all(not torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_averages_follow_the_parts_of_the_network_alone(session: Session) -> None:
    assert optimizer_parts(STEPPED) == ("encoder", "turns")
    assert trained_modules(session.state.network, STEPPED) == (session.state.network.encoder,)


def test_what_is_saved_with_it_goes_on_bit_for_bit(session: Session, tmp_path: Path) -> None:
    take_steps(session, 2)
    path = tmp_path / "step.safetensors"
    save_checkpoint(path, session.state, DESCRIPTION)
    restored = Session(session.config, FP32, session.data, restore_state(session.config, 4, FP32, path), 0)
    assert state_sha256(restored.state) == state_sha256(session.state)
    for each in (session, restored):
        take_steps(each, 3)
    assert state_sha256(restored.state) == state_sha256(session.state)


def test_one_that_is_dropped_is_not_saved(session: Session, tmp_path: Path) -> None:
    session.companion("turns")
    session.drop_companion("turns")
    save_checkpoint(tmp_path / "step.safetensors", session.state, DESCRIPTION)
    with pytest.raises(CheckpointError, match="holds no turns: its run"):
        load_companion(tmp_path / "step.safetensors", "turns")


def test_it_is_read_by_itself_in_eval_mode(session: Session, tmp_path: Path) -> None:
    head = session.companion("turns")
    save_checkpoint(tmp_path / "step.safetensors", session.state, DESCRIPTION)
    found = load_companion(tmp_path / "step.safetensors", "turns")
    assert not found.training
    state = head.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict().items())


def test_one_that_this_version_does_not_know_is_a_sentence(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.companion("turns")
    save_checkpoint(tmp_path / "step.safetensors", session.state, DESCRIPTION)
    monkeypatch.setattr(companions, "COMPANIONS", {})
    with pytest.raises(CheckpointError, match="no network 'turns'"):
        restore_state(session.config, 4, FP32, tmp_path / "step.safetensors")


def test_weights_of_another_shape_are_refused_by_name(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.companion("turns")
    save_checkpoint(tmp_path / "step.safetensors", session.state, DESCRIPTION)
    other = {"turns": lambda surroundings, _: nn.Linear(surroundings.num_features, 3)}
    monkeypatch.setattr(companions, "COMPANIONS", other)
    with pytest.raises(CheckpointError, match="of another architecture"):
        load_companion(tmp_path / "step.safetensors", "turns")


def test_the_measured_weights_are_the_same_with_and_without_it(session: Session, tmp_path: Path) -> None:
    assert ADVERSARIAL in session.state.network.classifiers
    save_checkpoint(tmp_path / "without.safetensors", session.state, DESCRIPTION)
    session.companion("turns")
    save_checkpoint(tmp_path / "with.safetensors", session.state, DESCRIPTION)
    shas = {read_info(tmp_path / name).weights_sha256 for name in ("with.safetensors", "without.safetensors")}
    assert len(shas) == 1
