import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine import events as ev
from claf_engine.config import ModelConfig
from claf_engine.config.presets import Override
from claf_engine.events.ticks import Boundary, Tick
from claf_engine.models.registered import register_model
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.runs.branch import branch_run
from claf_engine.runs.header import read_info
from claf_engine.training.averaging import decay_at, follow
from claf_engine.training.checkpoint import load_trained_network, restore_state, save_checkpoint, weights_sha256
from claf_engine.training.methods import phases_of
from claf_engine.training.phases.linear import adversarial_linear_evaluation, linear_evaluation
from claf_engine.training.session import Session
from tests.engine.tiny import FP32, play, state_sha256, tiny_config, tiny_data, tiny_session, use_tiny_data
from tests.engine.training.test_checkpoint import DESCRIPTION
from tests.plugins import registries_restored

AVERAGED = {"averaging__decay": 0.6, "attack__steps": 1}


def session_of(method: str, **changes: Any) -> Session:
    """22 images in batches of 8, so that an epoch has three steps."""
    return tiny_session(tiny_config(method=method, **AVERAGED | changes), tiny_data(22))


def steps_of(session: Session, count: int | None = None) -> list[dict[str, Tensor]]:
    """The trained weights after each of the first steps of the first phase."""
    seen: list[dict[str, Tensor]] = []
    for tick in phases_of(session.config)[0].play(session):
        if isinstance(tick, Boundary):
            seen.append({name: tensor.clone() for name, tensor in session.state.network.state_dict().items()})
            if len(seen) == count:
                break
    return seen


@pytest.mark.parametrize(("age", "kept"), [(0, 0), (1, 2 / 11), (2, 3 / 12), (80, 81 / 90), (81, 0.9), (10**6, 0.9)])
def test_a_young_average_forgets_faster(age: int, kept: float) -> None:
    assert decay_at(0.9, age) == pytest.approx(min(0.9, kept))


def test_an_average_moves_towards_weights_and_statistics_and_copies_counts() -> None:
    average, trained = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    for tensor in (trained.weight.data, trained.bias.data, trained.running_mean, trained.running_var):
        assert tensor is not None
        tensor.uniform_(generator=torch.Generator().manual_seed(0))
    trained.num_batches_tracked = torch.tensor(7)
    before = copy.deepcopy(average)
    follow([average], [trained], 0.75)
    for name, tensor in average.state_dict().items():
        expected = 0.75 * before.state_dict()[name] + 0.25 * trained.state_dict()[name]
        assert torch.allclose(tensor, torch.tensor(7) if "num" in name else expected), name


def test_a_tensor_that_two_layers_share_moves_once() -> None:
    average, trained = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2))
    for pair in (average, trained):
        pair[1].weight = pair[0].weight
    expected = average[0].weight.detach() / 2 + trained[0].weight.detach() / 2
    follow([average], [trained], 0.5)
    assert torch.allclose(average[1].weight, expected)


@pytest.mark.parametrize("method", ["natural", "at", "fgsm", "trades", "alp", "scl", "rocl"])
def test_the_average_is_that_of_a_slow_loop_over_the_path_of_training(method: str) -> None:
    session = session_of(method)
    path = steps_of(session, 6)
    average = path[0]
    for age, weights in enumerate(path[1:], 1):
        kept = min(0.6, (1 + age) / (10 + age))
        average = {name: kept * average[name] + (1 - kept) * weights[name] for name in average}
    found = session.state.measured.state_dict()
    for name, tensor in average.items():
        expected = path[-1][name] if "num_batches" in name else tensor
        assert torch.allclose(found[name], expected, atol=1e-6), name
    assert any(not torch.allclose(found[name], path[-1][name], atol=1e-6) for name in found), "the control"


def test_without_a_decay_what_is_measured_is_what_is_trained() -> None:
    session = session_of("natural", averaging__decay=0)
    steps_of(session)
    assert session.state.measured is session.state.network
    assert session.state.average is None


def test_training_itself_does_not_know_of_its_average() -> None:
    averaged, plain = session_of("at"), session_of("at", averaging__decay=0)
    for session in (averaged, plain):
        steps_of(session)
    assert weights_sha256(averaged.state.network) == weights_sha256(plain.state.network)


def saved(session: Session, folder: Path) -> Path:
    path = folder / "step-000000004.safetensors"
    config = session.config.model_dump(mode="json")
    save_checkpoint(path, session.state, replace(DESCRIPTION, config=config))
    return path


def test_a_checkpoint_holds_the_average_as_its_network_and_the_weights_to_go_on_with(tmp_path: Path) -> None:
    session = session_of("at")
    steps_of(session, 4)
    path, average = saved(session, tmp_path), session.state.average
    assert average is not None
    assert weights_sha256(load_trained_network(path).network) == weights_sha256(average)
    state = restore_state(session.config, 4, FP32, path)
    assert state_sha256(state) == state_sha256(session.state)
    assert weights_sha256(state.network) == weights_sha256(session.state.network) != weights_sha256(average)


@pytest.mark.parametrize("method", ["at", "scl", "claf"])
def test_a_restored_run_and_its_average_take_the_same_steps(tmp_path: Path, method: str) -> None:
    whole = session_of(method, contrastive__epochs=0 if method == "claf" else 2)
    steps_of(whole, 4)
    left = replace(whole, state=restore_state(whole.config, 4, FP32, saved(whole, tmp_path)))
    for session in (whole, left):
        steps_of(session, 3)
    assert state_sha256(left.state) == state_sha256(whole.state)


def test_a_header_says_which_weights_a_checkpoint_has(tmp_path: Path) -> None:
    averaged, plain = session_of("at"), session_of("at", averaging__decay=0)
    words = []
    for session in (averaged, plain):
        steps_of(session, 1)
        words.append(read_info(saved(session, tmp_path)).weights)
    assert words == ["average, decay 0.6", None]


@pytest.mark.parametrize("phase", [linear_evaluation, adversarial_linear_evaluation])
def test_heads_are_fitted_to_the_averaged_encoder(phase: Callable[[Session], Iterator[Tick]]) -> None:
    """The encoder that was trained is broken here, and nobody sees it."""
    whole, broken = session_of("scl"), session_of("scl")
    for session in (whole, broken):
        steps_of(session)
        session.state.cursor.end_phase()
    for parameter in broken.state.network.encoder.parameters():
        parameter.data.zero_()
    losses = [[float(tick.loss) for tick in phase(each) if isinstance(tick, Boundary)] for each in (whole, broken)]
    assert losses[0] == losses[1] != []


def test_an_average_begins_anew_with_its_optimiser() -> None:
    session = session_of("claf", contrastive__epochs=0, adversarial__epochs=2)
    ages = [session.state.ledger.averaged.copy() for tick in _boundaries(session) if tick.part == "retrain"]
    assert [age["attack"] for age in ages] == [1, 2, 3, 1, 2, 3]
    assert session.state.ledger.averaged["features"] == 6


def _boundaries(session: Session) -> Iterator[Boundary]:
    return (tick for tick in phases_of(session.config)[0].play(session) if isinstance(tick, Boundary))


@pytest.fixture
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


@pytest.fixture
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch, num_train=20)


@pytest.mark.usefixtures("_tiny_data")
def test_a_run_measures_chooses_and_reports_its_average_and_says_so(tmp_path: Path) -> None:
    config = tiny_config(method="natural", evaluation={"steps": 1}, **AVERAGED)
    directory = create_run(tmp_path, "tiny", config, [])
    events = play(directory)
    (notice,) = [event.text for event in events if isinstance(event, ev.Notice) and "average" in event.text]
    assert "is the running average of the weights, decay 0.6;" in notice
    finished, newest = events[-1], list_checkpoints(directory.path)[0].info
    assert isinstance(finished, ev.RunFinished)
    assert newest is not None
    assert [result.weights_sha256 for result in finished.results if result.checkpoint == "last"] == [
        newest.weights_sha256
    ]
    assert newest.weights == "average, decay 0.6"


@pytest.mark.usefixtures("_tiny_data")
@pytest.mark.parametrize(("before", "now"), [(0.6, 0.0), (0.0, 0.6), (0.6, 0.9)])
def test_a_branch_may_begin_or_end_the_average(tmp_path: Path, before: float, now: float) -> None:
    config = tiny_config(method="natural", evaluation={"steps": 1}, **AVERAGED | {"averaging__decay": before})
    directory = create_run(tmp_path, "tiny", config, [])
    play(directory)
    oldest = list_checkpoints(directory.path)[-1].path
    changes = [Override("averaging.decay", str(now))]
    branch = branch_run(oldest, tmp_path, [], changes, "other")
    play(branch)
    newest = list_checkpoints(branch.path)[0].info
    assert newest is not None
    assert newest.weights == (f"average, decay {now:g}" if now else None)


class Normalised(nn.Module):
    """Colours through a layer with torch's old weight norm, which `copy.deepcopy` refuses after a forward pass."""

    num_features = 6

    def __init__(self, _config: ModelConfig) -> None:
        super().__init__()
        self.layer = nn.utils.weight_norm(nn.Linear(3, 6))
        self.fixed = nn.Parameter(torch.ones(6, 6), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layer(images.mean((2, 3))) @ self.fixed
        return features


@pytest.mark.usefixtures("_registries_are_put_back")
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_model_that_cannot_be_copied_and_has_frozen_weights_can_be_averaged_and_perturbed(tmp_path: Path) -> None:
    register_model("mine")(Normalised)
    session = session_of("natural", model__architecture="mine", weight_perturbation={"gamma": 0.01, "after": 0})
    steps_of(session, 3)
    with pytest.raises(RuntimeError):
        copy.deepcopy(session.state.network.encoder)
    average, images = session.state.average, torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert average is not None
    assert not torch.equal(average.encoder(images), session.state.network.encoder(images))
    read = load_trained_network(saved(session, tmp_path)).network
    assert torch.equal(read.encoder(images), average.encoder(images))
