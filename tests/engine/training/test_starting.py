import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.config.registry import MODELS
from claf_engine.models.network import CLASSIFIERS, NATURAL, Network, build_network
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run
from claf_engine.terms.errors import CheckpointError, ConfigError, RunError
from claf_engine.training.checkpoint import load_trained_network
from claf_engine.training.methods import METHODS, phases_of
from claf_engine.training.starting import require_encoder, start_from
from tests.engine.resnets import write
from tests.engine.tiny import play, tiny_config, use_tiny_data
from tests.models import NET, name_of
from tests.plugins import registries_restored

SIZE = (8, 8)
LIBRARY = "torchvision:resnet18"


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_tiny_data(monkeypatch)
    with registries_restored():
        yield


def config(architecture: str, method: str = "at", **changes: Any) -> RunConfig:
    return tiny_config(
        method=method, model__architecture=architecture, runtime__layout="contiguous", supervised__epochs=1, **changes
    )


def network(architecture: str) -> Network:
    return build_network(config(architecture).model, 4, torch.Generator().manual_seed(0), SIZE)


def module(name: str, num_classes: int = 4) -> nn.Module:
    """What the file's function builds, with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        built: nn.Module = MODELS.entries[name].value(num_classes)
    return built.eval()


def images() -> Tensor:
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(2))


def test_a_network_begins_with_the_logits_of_the_model_whose_weights_are_given(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    theirs, ours = module(name), network(name)
    start = start_from(ours, write(tmp_path / "w.pt", theirs.state_dict()), {})
    assert (start.notices, set(start.record)) == ((), {"file", "sha256"})
    for classifier in CLASSIFIERS:
        assert torch.equal(ours.with_classifier(classifier).eval()(images()), theirs(images()))


def test_a_model_of_one_piece_begins_with_its_weights(tmp_path: Path) -> None:
    name = name_of(tmp_path, "whole")
    theirs, ours = module(name), network(name)
    start_from(ours, write(tmp_path / "w.pt", theirs.state_dict()), {})
    assert torch.equal(ours.with_classifier(NATURAL).eval()(images()), theirs(images()))


def test_a_classifier_of_other_classes_is_left_out_and_told(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    ours, theirs = network(name), module(name, num_classes=9)
    before = ours.classifiers[NATURAL].weight.clone()
    start = start_from(ours, write(tmp_path / "w.pt", theirs.state_dict()), {})
    sentence = "the classifier of w.pt tells other classes apart and was left out: it is trained from scratch"
    assert start.notices == (sentence,)
    assert torch.equal(ours.classifiers[NATURAL].weight, before)
    assert torch.equal(ours.encoder.module[0].weight, theirs[0].weight)


def test_a_classifier_without_bias_begins_with_a_bias_of_zero(tmp_path: Path) -> None:
    name = name_of(tmp_path, text=NET.replace("(36, num_classes)", "(36, num_classes, bias=False)"))
    theirs, ours = module(name), network(name)
    start_from(ours, write(tmp_path / "w.pt", theirs.state_dict()), {})
    torch.testing.assert_close(ours.with_classifier(NATURAL).eval()(images()), theirs(images()))


def test_weights_of_another_file_than_a_run_was_begun_with_are_refused(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    path = write(tmp_path / "w.pt", module(name).state_dict())
    with pytest.raises(CheckpointError, match=r"w\.pt is not the file that the run was begun with .*, then abc"):
        start_from(network(name), path, {"weights": {"sha256": "abc"}})


@pytest.mark.parametrize("method", ["claf", "scl", "rocl"])
def test_a_model_of_one_piece_has_no_encoder_for_a_contrastive_method(tmp_path: Path, method: str) -> None:
    whole = network(name_of(tmp_path, "whole"))
    with pytest.raises(ConfigError, match=r"net.py:whole does not end in a linear layer .* choose the method natural"):
        require_encoder(whole, phases_of(tiny_config(method=method)))


@pytest.mark.parametrize("method", ["natural", "at", "fgsm", "trades", "alp"])
def test_supervised_methods_train_a_model_of_one_piece(tmp_path: Path, method: str) -> None:
    require_encoder(network(name_of(tmp_path, "whole")), phases_of(tiny_config(method=method)))


def test_a_model_of_one_piece_has_no_features_to_contrast(tmp_path: Path) -> None:
    settings = tiny_config(method="at", averaging__decay=0.9, objective__contrast_weight=0.1)
    with pytest.raises(ConfigError, match=r"net.py:whole does not .* no features to contrast; set objective.contrast"):
        require_encoder(network(name_of(tmp_path, "whole")), phases_of(settings))
    require_encoder(network(name_of(tmp_path)), phases_of(settings))


def test_a_model_of_one_piece_is_told_what_to_train_it_with_in_place_of_two_encoders(tmp_path: Path) -> None:
    whole = network(name_of(tmp_path, "whole"))
    with pytest.raises(ConfigError, match=r"net.py:whole does not .* to contrast; choose the method natural, at"):
        require_encoder(whole, phases_of(tiny_config(method="two-encoders")))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_a_model_that_can_be_split(tmp_path: Path, method: str) -> None:
    require_encoder(network(name_of(tmp_path)), phases_of(tiny_config(method=method)))


def played(tmp_path: Path, settings: RunConfig) -> RunDirectory:
    directory = create_run(tmp_path, "mine", settings, [])
    play(directory)
    return directory


@pytest.mark.parametrize(("function", "method"), [("build", "at"), ("build", "claf"), ("whole", "trades")])
def test_a_run_of_a_file_s_model_ends_with_results(tmp_path: Path, function: str, method: str) -> None:
    directory = create_run(tmp_path, "mine", config(name_of(tmp_path, function), method), [])
    end = play(directory)[-1]
    assert isinstance(end, ev.RunFinished)
    assert end.status == "finished"
    assert any(result.selected for result in end.results)


def test_a_run_begins_with_the_weights_of_its_settings_and_records_their_hash(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    path = write(tmp_path / "w.pt", module(name).state_dict())
    directory = played(tmp_path, config(name, model__weights=str(path), supervised__optimizer__learning_rate=1e-9))
    recorded = json.loads((directory.path / "run.json").read_text())["weights"]
    assert (recorded["file"], len(recorded["sha256"])) == (str(path), 64)
    trained = load_trained_network(list_checkpoints(directory.path)[0].path).network
    torch.testing.assert_close(trained.encoder.module[0].weight, module_of(path)["0.weight"], rtol=0, atol=1e-5)


def module_of(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = torch.load(path, weights_only=True)  # noqa: TID251 (written by this test)
    return tensors


def test_a_relative_path_of_weights_is_kept_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    directory = create_run(tmp_path, "mine", config(name_of(tmp_path), model__weights="w.pt"), [])
    directory.close()
    assert directory.config.model.weights == str(tmp_path / "w.pt")
    assert str(tmp_path / "w.pt") in (directory.path / "config.toml").read_text()


def stopped(directory: RunDirectory) -> list[ev.Event]:
    return play(directory, lambda event, control: control.stop() if isinstance(event, ev.StepLogged) else None)


@pytest.mark.parametrize("function", ["build", "whole"])
def test_a_run_of_a_file_s_model_goes_on_bit_by_bit(tmp_path: Path, function: str) -> None:
    settings = config(name_of(tmp_path, function))
    straight = list_checkpoints(played(tmp_path, settings).path)[0]
    broken = create_run(tmp_path, "other", settings, [])
    stopped(broken)
    play(open_run(broken.path))
    resumed = list_checkpoints(broken.path)[0]
    assert straight.info is not None
    assert resumed.info is not None
    assert straight.info.weights_sha256 == resumed.info.weights_sha256


def test_a_run_goes_on_only_where_its_model_is_named_again(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "mine", config(name_of(tmp_path)), [])
    stopped(directory)
    MODELS.entries.clear()
    with pytest.raises(RunError, match="trained with architecture 'net.py:build'; give --model net.py:build with the"):
        open_run(directory.path)


def test_a_model_whose_text_has_changed_is_told(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "mine", config(name_of(tmp_path)), [])
    stopped(directory)
    name_of(tmp_path, text=NET + "    # edited\n")
    events = play(open_run(directory.path))
    assert any(
        "plugin net.py is not net.py as the run was begun" in event.text
        for event in events
        if isinstance(event, ev.Notice)
    )


def test_weights_need_a_model_of_somebody_else() -> None:
    with pytest.raises(ValueError, match=r"model\.weights goes with --model FILE\.py:FUNCTION"):
        tiny_config(model__weights="w.pt")
