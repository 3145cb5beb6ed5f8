import json
from pathlib import Path
from typing import Any

import pytest

from claf_engine.evaluation.export_config import Told, read_told
from claf_engine.terms.errors import CheckpointError

OURS = {"names": "ours", "sha256": "x", "model": {"architecture": "resnet34", "stem": "imagenet", "mean": [0.5] * 3}}


def told(folder: Path, record: Any) -> Told:
    (folder / "config.json").write_text(json.dumps(record))
    return read_told(folder / "config.json", "x")


def test_ours_gives_the_settings_back(tmp_path: Path) -> None:
    found = told(tmp_path, {**OURS, "class_names": ["a", "b"], "image_size": [32, 48], "data": "shapes"})
    assert found.model is not None
    assert (found.model.architecture, found.model.stem, found.model.mean) == ("resnet34", "imagenet", (0.5,) * 3)
    assert (found.class_names, found.image_size, found.data) == (("a", "b"), (32, 48), "shapes")


def test_a_folder_of_images_is_not_looked_for(tmp_path: Path) -> None:
    assert told(tmp_path, {**OURS, "data": "folder:animals"}).data == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"architecture": "nonsense"}}, "settings of a model that this version does not know: .*nonsense"),
        ({"model": {"width": -1}}, "settings of a model that this version does not know"),
        ({"model": {"mean": "x"}}, "settings of a model that this version does not know"),
        ({"sha256": 3}, "describes other weights"),
    ],
)
def test_damaged_settings_are_one_sentence(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        told(tmp_path, {**OURS, **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [[], "x", 3, [1], {"a": 1}, None, [0, 0], ["a", 2], [32, 32, 3]])
@pytest.mark.parametrize("key", ["image_size", "class_names", "data", "classifier", "pretrained_cfg", "robustness"])
def test_whatever_else_is_damaged_says_nothing(tmp_path: Path, key: str, value: Any) -> None:
    assert told(tmp_path, {**OURS, key: value}).model is not None


@pytest.mark.parametrize("mean", ["x", [1, 2], ["a", "b", "c"], {}])
def test_a_normalisation_of_timm_that_is_none_is_refused(tmp_path: Path, mean: Any) -> None:
    with pytest.raises(CheckpointError, match="is no list of one or three numbers; correct it or give --mean"):
        told(tmp_path, {"architecture": "resnet18", "pretrained_cfg": {"mean": mean}})


def test_a_config_of_another_library_says_nothing(tmp_path: Path) -> None:
    assert told(tmp_path, {"model_type": "resnet", "mean": "x"}) == Told()


def test_what_is_no_json_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_told(tmp_path / "config.json", "x")
