from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from claf_engine.models.network import build_network
from claf_engine.runs.exporting import export_network
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.checkpoint import load_trained_network
from tests.engine.runs.test_header import METADATA, TENSORS, write
from tests.engine.runs.test_verifying import EARLIER


def test_the_network_alone_is_exported_under_the_names_of_its_state_dict(tmp_path: Path) -> None:
    target = tmp_path / "weights.safetensors"
    assert export_network(write(tmp_path), target) == target.stat().st_size
    exported = load_file(target)
    assert exported.keys() == {"weight", "bias"}
    for name, values in exported.items():
        np.testing.assert_array_equal(values, TENSORS[f"network.{name}"])


def test_an_exported_network_can_be_loaded_by_torch(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file as load_torch

    _, config, network = load_trained_network(EARLIER)
    target = tmp_path / "weights.safetensors"
    export_network(EARLIER, target)
    num_classes = network.classifiers["attack"].weight.shape[0]
    build_network(config.model, num_classes, torch.Generator()).load_state_dict(load_torch(target))


def test_the_file_says_which_run_and_step_it_is_of(tmp_path: Path) -> None:
    target = tmp_path / "weights.safetensors"
    export_network(write(tmp_path), target)
    with safe_open(target, framework="numpy") as file:
        told = file.metadata()
    assert told["claf.run"] == METADATA["claf.run"]
    assert told["claf.step"] == METADATA["claf.step"]
    assert "claf.format" not in told


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_text("mine")
    with pytest.raises(CheckpointError, match="is there already"):
        export_network(write(tmp_path), target)
    assert target.read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write .*no/w.safetensors: No such file or directory"):
        export_network(write(tmp_path), tmp_path / "no" / "w.safetensors")


def test_a_truncated_checkpoint_leaves_no_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="truncated"):
        export_network(path, tmp_path / "w.safetensors")
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no network"):
        export_network(write(tmp_path, tensors={"w": np.zeros(1)}), tmp_path / "w.safetensors")
