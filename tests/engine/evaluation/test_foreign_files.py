"""Files and folders as they lie on disk; what their tensors become is tested in test_foreign_weights and others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from claf_engine.evaluation.foreign_files import read_foreign
from claf_engine.runs.exporting import export_network
from claf_engine.terms.errors import CheckpointError
from tests.engine.networks import checkpoint_of
from tests.engine.resnets import weights, write


def plain(folder: Path) -> Path:
    save_file(dict(weights()), folder / "model.safetensors")
    return folder / "model.safetensors"


def test_safetensors_are_read_as_a_state_dict_is(tmp_path: Path) -> None:
    found = read_foreign(plain(tmp_path))
    pickled = read_foreign(write(tmp_path / "model.pt", weights()))
    assert found.tensors.keys() == pickled.tensors.keys()
    assert all(torch.equal(tensor, pickled.tensors[name]) for name, tensor in found.tensors.items())


def test_a_folder_stands_for_the_weights_in_it(tmp_path: Path) -> None:
    write(tmp_path / "pytorch_model.bin", weights())
    assert read_foreign(tmp_path).tensors.keys() == weights().keys()
    assert read_foreign(plain(tmp_path)).sha256 == read_foreign(tmp_path).sha256


def test_a_folder_without_weights_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors or pytorch_model\.bin; name the file"):
        read_foreign(tmp_path)


def test_a_checkpoint_of_ours_needs_no_import(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a checkpoint of a run of claf-tui, .*`claf-tui eval "):
        read_foreign(checkpoint_of(tmp_path, width=2, blocks=(1,)))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:200], lambda data: data[:8] + b"{" + data[20:]]
)
def test_damaged_safetensors_are_one_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = plain(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="is truncated, damaged or not safetensors") as caught:
        read_foreign(path)
    assert "\n" not in str(caught.value)


def test_a_config_about_other_weights_is_refused(tmp_path: Path) -> None:
    plain(tmp_path)
    record = {"names": "kuangliu", "model": {}, "sha256": read_foreign(tmp_path).sha256}
    (tmp_path / "config.json").write_text(json.dumps(record))
    assert read_foreign(tmp_path).told.model is not None
    (tmp_path / "config.json").write_text(json.dumps({**record, "sha256": "0"}))
    with pytest.raises(CheckpointError, match="describes other weights than those beside it; export both anew"):
        read_foreign(tmp_path)


def test_a_damaged_header_of_an_export_is_one_sentence(tmp_path: Path) -> None:
    export_network(checkpoint_of(tmp_path, width=2, blocks=(1,)), tmp_path / "whole.safetensors")
    assert read_foreign(tmp_path / "whole.safetensors").told.model is not None
    save_file(dict(weights()), tmp_path / "model.safetensors", {"claf.config": '{"model": 3}'})
    with pytest.raises(CheckpointError, match="the header of .* is damaged"):
        read_foreign(tmp_path / "model.safetensors")


def test_linear_projection_heads_are_left_aside_and_lone_heads_are_classifiers(tmp_path: Path) -> None:
    network = {name: tensor for name, tensor in weights().items() if not name.startswith("linear")}
    head = {"head.weight": torch.zeros(3, 4)}
    classifier = {"fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)}
    with_both = read_foreign(write(tmp_path / "both.pt", {**network, **head, **classifier}))
    assert with_both.left_aside == ("head.*, the projection head",)
    assert "head.weight" in read_foreign(write(tmp_path / "lone.pt", {**network, **head})).tensors
