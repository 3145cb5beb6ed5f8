import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from claf_engine.accuracy.any_model import measure
from claf_engine.config.registry import MODELS
from claf_engine.evaluation.evaluate import EvaluationReport, evaluate
from claf_engine.evaluation.model_source import ModelSource, open_model
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.terms.errors import CheckpointError, ClafError, ConfigError, DataError
from tests.engine.pictures import write_folder
from tests.engine.tiny import tiny_data, use_tiny_data
from tests.models import NET, name_of
from tests.plugins import registries_restored


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_tiny_data(monkeypatch)
    with registries_restored():
        yield


def written(name: str, path: Path, num_classes: int = 4) -> nn.Module:
    """What the file's function builds; its weights are written."""
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = MODELS.entries[name].value(num_classes)
    save_file(model.state_dict(), path)
    return model.eval()


def ask(source: ModelSource, **options: Any) -> EvaluationReport:
    options = {"data": "shapes", "steps": 3, "device": "cpu", **options}
    return evaluate(EvaluationRequest(source.place, ("8/255",), source=source, **options))  # type: ignore[arg-type]


def test_a_model_is_measured_as_the_library_measures_it(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    model = written(name, tmp_path / "w.safetensors")
    record = ask(ModelSource(name, tmp_path / "w.safetensors"), step_size="4/255", decides="any").to_record()
    test = tiny_data().test
    expected = measure(model, test.images, test.labels, steps=3, step_size="4/255")
    assert record["natural_accuracy"] == expected.natural
    assert record["robust"][0]["robust_accuracy"] == expected.robust[0].accuracy


def test_gray_images_reach_a_model_of_gray_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    folder = write_folder(tmp_path / "gray", {"test": 4}, channels=1)
    name = name_of(tmp_path, text=NET.replace("Conv2d(3, 4", "Conv2d(1, 4"))
    assert ask(ModelSource(name), data=f"folder:{folder}").num_examples == 8
    with pytest.raises(DataError, match="does not take images of 8x8 pixels and 1 channel:"):
        ask(ModelSource(name_of(tmp_path, "whole")), data=f"folder:{folder}")


def test_its_record_and_its_card_say_what_it_is(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    written(name, tmp_path / "w.safetensors")
    record = ask(ModelSource(name, tmp_path / "w.safetensors")).to_record()
    assert (record["run"], record["classifier"]) == ("net.py:build", "build")
    assert record["checkpoint"] == record["model"]["weights"] == str(tmp_path / "w.safetensors")
    assert {len(record["model"][key]) for key in ("file_sha256", "weights_file_sha256")} == {64}
    folder = Path(record["card"])
    assert folder.parent == tmp_path / "audit"
    assert folder.name.startswith("w-build-evaluation-")
    card = json.loads((folder / "card.json").read_text())
    assert (card["run"], card["method"], card["model"]) == ("net.py:build", "foreign", record["model"])
    assert record["audit"] == "evaluated"


def test_cards_lie_where_it_is_asked_or_beside_the_weights_or_the_file(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    assert ModelSource(name).place == tmp_path / "net.model"
    assert ModelSource(name, Path("/w/a.pt")).place == Path("/w/a.model")
    assert ModelSource(name, Path("/w/a.pt"), Path("/cards")).place == Path("/cards/a.model")
    assert ModelSource("torchvision:resnet50").place == Path("torchvision.model")


def test_without_weights_that_is_told(tmp_path: Path) -> None:
    notices = ask(ModelSource(name_of(tmp_path))).notices
    assert "no weights were given: net.py:build is measured with those that it is built with" in notices


def test_a_model_that_gives_probabilities_is_told(tmp_path: Path) -> None:
    assert "net.py:soft gives probabilities and not logits" in " ".join(
        ask(ModelSource(name_of(tmp_path, "soft"))).notices
    )
    assert "probabilities" not in " ".join(ask(ModelSource(name_of(tmp_path))).notices)


def test_two_texts_with_equal_weights_are_told_apart(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    written(name, tmp_path / "w.safetensors")
    source = ModelSource(name, tmp_path / "w.safetensors")
    one, same = (open_model(source, tiny_data()).info.weights_sha256 for _ in range(2))
    name_of(tmp_path, text=NET.replace("nn.ReLU()", "nn.SiLU()"))
    other = open_model(source, tiny_data()).info.weights_sha256
    assert one == same != other


def test_a_library_s_model_is_normalised_as_its_weights_expect() -> None:
    opened = open_model(ModelSource("torchvision:resnet18"), tiny_data())
    assert opened.config.model.mean == (0.485, 0.456, 0.406)
    assert "images are normalised by means 0.485, 0.456, 0.406 and deviations 0.229" in " ".join(opened.notices)


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"data": None}, ConfigError, "--model needs --data"),
        ({"classifier": "natural"}, ConfigError, "--classifier chooses among those of a checkpoint"),
        ({"space": "released-code"}, ConfigError, "--space released-code attacks what a network of ours normalises by"),
        ({"data": "nothing"}, ConfigError, "--data: unknown data source 'nothing'"),
    ],
)
def test_options_that_do_not_go_with_a_model_are_refused(
    tmp_path: Path, options: dict[str, Any], kind: type[ClafError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        ask(ModelSource(name_of(tmp_path)), **options)


def test_weights_of_other_classes_are_refused(tmp_path: Path) -> None:
    name = name_of(tmp_path)
    written(name, tmp_path / "w.safetensors", num_classes=9)
    with pytest.raises(CheckpointError, match="does not fit net.py:build; of another shape: 4.weight is 9x36 instead"):
        ask(ModelSource(name, tmp_path / "w.safetensors"))


def test_a_model_of_other_classes_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="net.py:of_three tells 3 classes apart, and the data has 4"):
        ask(ModelSource(name_of(tmp_path, "of_three")))
