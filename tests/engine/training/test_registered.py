from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine import events as ev
from claf_engine.accuracy.measure import Accuracy
from claf_engine.config import ModelConfig, RunConfig
from claf_engine.config.plugins import load_plugin
from claf_engine.config.registry import METHODS as REGISTERED
from claf_engine.data import Images, register_data
from claf_engine.events import RobustFigure
from claf_engine.events.control import Control
from claf_engine.models.network import ADVERSARIAL, NATURAL
from claf_engine.models.registered import register_model
from claf_engine.runs import create_run, list_checkpoints, open_run
from claf_engine.runs.branch import branch_run
from claf_engine.runs.journal import read_events
from claf_engine.terms.errors import CheckpointError, ConfigError, RunError
from claf_engine.training.checkpoint import load_trained_network
from claf_engine.training.methods import METHODS, phases_of
from claf_engine.training.probe import fall_of
from claf_engine.training.registered import Attack, Model, register_loss, register_method
from tests.engine.tiny import play, state_sha256, tiny_config, tiny_data, tiny_session, use_tiny_data
from tests.engine.training.test_run import leave, outcome
from tests.plugins import LOSS, plugin_file, registries_restored


@pytest.fixture(autouse=True)
def _registries_are_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_tiny_data(monkeypatch)
    with registries_restored():
        yield


def short(method: str, **changes: Any) -> RunConfig:
    """A method in six steps, with a small probe and evaluation."""
    small = {"epsilons": ["8/255"], "steps": 1, "num_examples": 4}
    probe = {**small, "every_epochs": 1, "fit_epochs": 1}
    return tiny_config(**{"method": method, "attack__steps": 1, "probe": probe, "evaluation": small, **changes})


def attacked(model: Model, images: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    """Madry's objective in plain tensors."""
    return F.cross_entropy(model(attack(images, labels)), labels)


def natural(model: Model, images: Tensor, labels: Tensor, _attack: Attack) -> Tensor:
    return F.cross_entropy(model(images), labels)


def trained(config: RunConfig, folder: Path) -> Path:
    directory = create_run(folder, "mine", config, [])
    play(directory)
    return directory.path


def hash_after_phases(method: str) -> str:
    session = tiny_session(short(method))
    for phase in phases_of(session.config):
        for _ in phase.play(session):
            pass
        session.state.cursor.end_phase()
    return state_sha256(session.state)


def test_a_registered_loss_of_a_rule_of_ours_trains_to_the_same_bits() -> None:
    register_loss("mine")(attacked)
    assert hash_after_phases("mine") == hash_after_phases("at")


def test_a_registered_natural_loss_trains_the_natural_classifier_to_the_same_bits() -> None:
    register_loss("mine", is_natural=True)(natural)
    assert hash_after_phases("mine") == hash_after_phases("natural")
    assert [phase.classifier for phase in phases_of(short("mine"))] == [NATURAL]


def test_a_registered_loss_is_one_phase_and_costs_what_its_attack_does() -> None:
    register_loss("mine")(attacked)
    (phase,) = phases_of(short("mine", attack__steps=7))
    assert (phase.name, phase.title, phase.classifier) == ("supervised", "mine", ADVERSARIAL)
    assert [part.cost for part in phase.parts] == [2 * 7 + 3]


def test_a_run_of_a_registered_loss_logs_it_under_its_name_and_is_tested(tmp_path: Path) -> None:
    register_loss("mine")(attacked)
    events = read_events(trained(short("mine"), tmp_path))
    assert {event.loss_name for event in events if isinstance(event, ev.StepLogged)} == {"mine"}
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"
    assert events[-1].results


@pytest.mark.parametrize("how", ["stop", "crash"])
@pytest.mark.parametrize("at", [7, 20])
def test_a_run_of_a_registered_loss_goes_on_to_the_same_bits(tmp_path: Path, at: int, how: str) -> None:
    plugin = plugin_file(tmp_path, LOSS)
    load_plugin(plugin)
    config = short("mine", checkpoint__every_steps=1)
    whole = outcome(trained(config, tmp_path / "whole"))
    directory = create_run(tmp_path, "left", config, [])
    assert not leave(directory, at, how)
    assert list_checkpoints(directory.path)
    load_plugin(plugin)
    play(open_run(directory.path))
    assert outcome(directory.path) == whole


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (lambda _: 0.5, "a float"),
        (lambda _: None, "a NoneType"),
        (lambda logits: logits.mean(1), r"a tensor of shape \(8,\)"),
        (lambda logits: logits.mean().detach(), "a tensor without a graph"),
    ],
)
def test_what_cannot_be_minimised_is_refused_with_what_can(
    tmp_path: Path, value: Callable[[Tensor], Any], found: str
) -> None:
    register_loss("mine")(lambda model, images, _labels, _attack: value(model(images)))
    with pytest.raises(ConfigError, match=f"loss 'mine' gives {found}; return one number with its graph, such as"):
        trained(short("mine"), tmp_path)


BROKEN = """
    from claf_engine.training.registered import register_loss, register_method

    @register_loss("loss")
    def loss(model, images, labels, attack):
        return 1 / 0

    @register_method("phases")
    def phases(config):
        return 1 / 0
"""


@pytest.mark.parametrize("method", ["loss", "phases"])
def test_what_a_plugin_raises_while_training_says_whose_it_is(tmp_path: Path, method: str) -> None:
    load_plugin(plugin_file(tmp_path, BROKEN))
    with pytest.raises(ZeroDivisionError) as raised:
        trained(short(method), tmp_path)
    assert raised.value.__notes__ == [f"raised in the method {method!r} of plugin my.py"]
    (run,) = tmp_path.glob("*-mine")
    finished = read_events(run)[-1]
    assert isinstance(finished, ev.RunFinished)
    assert finished.reason == f"ZeroDivisionError: division by zero; raised in the method {method!r} of plugin my.py"


def test_robust_accuracy_that_falls_is_watched_where_a_loss_attacks_and_nowhere_else() -> None:
    register_loss("attacking")(attacked)
    register_loss("plain", is_natural=True)(natural)
    figures = (RobustFigure("8/255", 0.5, "pgd", 1, "2/255", 1, 4),)
    for method, is_watched in (("attacking", True), ("plain", False)):
        session = tiny_session(short(method))
        (phase,) = phases_of(session.config)
        assert (fall_of(session, phase, Accuracy(0.9, figures)) is not None) == is_watched


def test_a_registered_method_plays_its_phases_in_order(tmp_path: Path) -> None:
    register_method("mine")(lambda config: (*METHODS["scl"](config)[:1], *METHODS["at"](config)))
    config = short("mine", contrastive__epochs=1)
    assert [phase.name for phase in phases_of(config)] == ["contrastive", "supervised"]
    events = read_events(trained(config, tmp_path))
    started = [event.phase for event in events if isinstance(event, ev.PhaseStarted)]
    assert started == [0, 1, 2]


@pytest.mark.parametrize("given", [None, 3, ["contrastive"], ()])
def test_a_method_that_gives_no_phases_is_refused(given: Any) -> None:
    register_method("mine")(lambda _: given)
    with pytest.raises(ConfigError, match=r"return a tuple of claf_engine.training.phase.Phase|trains for no epochs"):
        phases_of(short("mine"))


def test_a_method_that_is_not_registered_any_more_is_refused() -> None:
    register_method("mine")(METHODS["at"])
    config = short("mine")
    REGISTERED.entries.clear()
    with pytest.raises(ConfigError, match="unknown method 'mine'; use claf, natural"):
        phases_of(config)


def test_a_loss_and_a_method_cannot_have_one_name() -> None:
    register_loss("mine")(attacked)
    with pytest.raises(ConfigError, match="the method 'mine' is registered already"):
        register_method("mine")(METHODS["at"])


class Pooled(nn.Module):
    """Mean colours through a layer with a parameter of its own kind."""

    num_features = 6

    def __init__(self, _config: ModelConfig) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 6)
        self.scale = nn.Parameter(torch.randn(6))
        self.norm = nn.BatchNorm1d(6)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.norm(self.layer(images.mean((2, 3)))) * self.scale
        return features


@pytest.mark.parametrize("method", ["claf", "at", "trades", "rocl"])
def test_a_registered_model_trains_by_our_methods_and_its_checkpoint_is_read_again(tmp_path: Path, method: str) -> None:
    register_model("mine")(Pooled)
    path = trained(short(method, model__architecture="mine", supervised__attack_batch_norm="batch"), tmp_path)
    entry = list_checkpoints(path)[0]
    info, config, network = load_trained_network(entry.path)
    assert (config.model.architecture, info.step) == ("mine", entry.info.step if entry.info else None)
    assert network.encoder.state_dict().keys() >= {"module.scale", "module.norm.running_mean"}


def test_a_run_of_a_registered_model_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    register_model("mine")(Pooled)
    config = short("at", model__architecture="mine", checkpoint__every_steps=1)
    whole = outcome(trained(config, tmp_path / "whole"))
    directory = create_run(tmp_path, "left", config, [])
    assert not leave(directory, 20, "crash")
    assert list_checkpoints(directory.path)
    play(open_run(directory.path))
    assert outcome(directory.path) == whole


def test_a_run_trains_on_registered_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claf_engine.data import dataset_steps

    data = tiny_data(num_train=40)
    train, test = (data.train.images, data.train.labels), (data.test.images, data.test.labels)
    register_data("mine")(lambda _config, _argument: Images(train, test, data.class_names))
    monkeypatch.setattr("claf_engine.training.opening.dataset_steps", dataset_steps)
    sizes = {"source": "mine:x", "num_train": 24, "num_validation": 16, "num_test": 16}
    events = read_events(trained(short("natural", data=sizes), tmp_path))
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    assert (started.data, started.num_train, started.class_names) == ("mine:x", 24, data.class_names)


def stop_after_two_steps(event: ev.Event, control: Control) -> None:
    if isinstance(event, ev.StepLogged) and event.step == 2:
        control.stop()


def left_run(tmp_path: Path) -> Path:
    """A run of the method "mine" of my.py that was left after two steps."""
    load_plugin(plugin_file(tmp_path, LOSS))
    directory = create_run(tmp_path, "left", short("mine", checkpoint__every_steps=1), [])
    play(directory, stop_after_two_steps)
    return directory.path


def warnings_of(events: list[ev.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ev.Notice) and "plugin" in event.text]


def test_going_on_with_the_same_plugin_warns_of_nothing(tmp_path: Path) -> None:
    path = left_run(tmp_path)
    assert warnings_of(play(open_run(path))) == []


def test_going_on_with_a_plugin_that_has_changed_warns(tmp_path: Path) -> None:
    path = left_run(tmp_path)
    load_plugin(plugin_file(tmp_path, LOSS.replace("/ 2", "/ 3")))
    (warning,) = warnings_of(play(open_run(path)))
    assert warning.startswith("plugin my.py is not my.py as the run was begun with it (SHA-256 ")
    assert warning.endswith("it may not go on as it would have")


def test_a_new_run_from_an_older_checkpoint_warns_of_a_changed_plugin_too(tmp_path: Path) -> None:
    path = left_run(tmp_path)
    load_plugin(plugin_file(tmp_path, LOSS.replace("/ 2", "/ 3")))
    older = list_checkpoints(path)[-1].path
    assert len(warnings_of(play(branch_run(older, tmp_path / "forks", [])))) == 1


def test_a_run_whose_plugin_is_not_given_says_which_file_it_was(tmp_path: Path) -> None:
    path = left_run(tmp_path)
    REGISTERED.entries.clear()
    needed = r"needs a plugin: it was trained with method 'mine' of plugin my.py; give --plugin my.py$"
    with pytest.raises(RunError, match=f"run {path.name} {needed}"):
        open_run(path)
    with pytest.raises(CheckpointError, match=needed):
        load_trained_network(list_checkpoints(path)[0].path)


def test_nothing_is_loaded_because_a_run_s_folder_names_it(tmp_path: Path) -> None:
    path = left_run(tmp_path)
    REGISTERED.entries.clear()
    with pytest.raises(RunError):
        open_run(path)
    assert REGISTERED.entries == {}


def test_a_checkpoint_without_its_run_s_folder_asks_for_the_plugin(tmp_path: Path) -> None:
    checkpoint = list_checkpoints(left_run(tmp_path))[0].path
    alone = tmp_path / "elsewhere" / checkpoint.name
    alone.parent.mkdir()
    alone.write_bytes(checkpoint.read_bytes())
    REGISTERED.entries.clear()
    with pytest.raises(
        CheckpointError, match="method 'mine', which is none of ours; give the --plugin that registers it"
    ):
        load_trained_network(alone)
