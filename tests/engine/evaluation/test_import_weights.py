import errno
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pyautoattack
import pytest
import torch
from torch import Tensor, nn

from claf_engine.data import Images, register_data
from claf_engine.evaluation.foreign_weights import read_foreign
from claf_engine.evaluation.import_weights import (
    CIFAR10_CLASSES,
    UNTRAINED,
    Imported,
    ImportRequest,
    import_checkpoint,
)
from claf_engine.models.network import NATURAL
from claf_engine.runs import find_checkpoint, list_runs, open_run
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, ConfigError, DataError, RunError
from claf_engine.training.checkpoint import load_trained_network
from tests.engine.resnets import foreign_resnet, weights, write
from tests.plugins import registries_restored

MEAN, STD = (0.5, 0.25, 0.125), (0.25, 0.5, 1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of foreign weights."""
    return write(tmp_path / "model.pt", weights())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def take_over(file: Path, root: Path, **options: Any) -> Imported:
    return import_checkpoint(ImportRequest(file, "resnet18", "foreign", **options), root)


def logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(images)
    return found


def images() -> Tensor:
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(4))


def test_the_checkpoint_holds_the_foreign_network(file: Path, root: Path) -> None:
    _, _, network = load_trained_network(take_over(file, root).checkpoint)
    ours, theirs = logits(network.eval().with_classifier(NATURAL), images()), logits(foreign_resnet(), images())
    assert torch.allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_run_is_found_like_any_other(file: Path, root: Path) -> None:
    imported = take_over(file, root)
    assert find_checkpoint("foreign", root) == imported.checkpoint
    (run,) = list_runs(root)
    assert (run.status, run.record["method"], run.record["data"]) == ("imported", "foreign", "cifar10")


def test_nothing_can_be_trained_in_it(file: Path, root: Path) -> None:
    with pytest.raises(RunError, match="is imported; evaluate it"):
        open_run(take_over(file, root).directory)


def test_the_metadata_say_where_it_is_from_and_what_is_untrained(file: Path, root: Path) -> None:
    info = read_info(take_over(file, root).checkpoint)
    assert info.metadata["claf.imported"] == {
        "file": "model.pt",
        "sha256": read_foreign(file).sha256,
        "arch": "resnet18",
        "untrained": ["projection_head", "classifiers.attack", "classifiers.adversarial"],
        "output_order": list(CIFAR10_CLASSES),
    }
    assert info.metadata["claf.trained_classifiers"] == [NATURAL]
    assert info.classifier == NATURAL
    assert info.phase == "imported from model.pt"


def test_the_untrained_parts_are_all_that_the_file_does_not_give(file: Path, root: Path) -> None:
    imported = take_over(file, root)
    network = load_trained_network(imported.checkpoint)[2]
    rest = [name for name in network.state_dict() if not name.startswith(UNTRAINED)]
    assert len(rest) == imported.num_tensors + len(("encoder.mean", "encoder.std"))


def test_the_classes_of_cifar10_are_in_the_order_of_their_labels(file: Path, root: Path) -> None:
    assert read_info(take_over(file, root).checkpoint).metadata["claf.class_names"] == list(CIFAR10_CLASSES)
    assert list(CIFAR10_CLASSES) == sorted(CIFAR10_CLASSES)


def test_the_classes_of_a_folder_are_its_folders(tmp_path: Path, root: Path) -> None:
    for part in ("train", "test"):
        for name in ("cat", "dog", "emu"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            (tmp_path / "images" / part / name / "1.png").write_bytes(b"")
    file = write(tmp_path / "model.pt", weights(num_classes=3))
    imported = take_over(file, root, data=f"folder:{tmp_path / 'images'}")
    assert read_info(imported.checkpoint).metadata["claf.class_names"] == ["cat", "dog", "emu"]


@pytest.fixture
def numbered(tmp_path: Path) -> str:
    """A data source of three classes named 0, 1, 10, 11 and 2, in alphabetical order."""
    for part in ("train", "test"):
        for name in ("0", "1", "2", "10", "11"):
            (tmp_path / "digits" / part / name).mkdir(parents=True)
            (tmp_path / "digits" / part / name / "1.png").write_bytes(b"")
    return f"folder:{tmp_path / 'digits'}"


def test_outputs_in_another_order_than_the_folders_are_put_in_order(tmp_path: Path, root: Path, numbered: str) -> None:
    file = write(tmp_path / "model.pt", weights(num_classes=5))
    imported = take_over(file, root, data=numbered, classes=("0", "1", "2", "10", "11"))
    assert read_info(imported.checkpoint).metadata["claf.class_names"] == ["0", "1", "10", "11", "2"]
    assert imported.output_order == ("0", "1", "2", "10", "11")
    ours = load_trained_network(imported.checkpoint)[2].state_dict()
    for part in ("weight", "bias"):
        theirs = weights(num_classes=5)[f"linear.{part}"]
        assert torch.equal(ours[f"classifiers.{NATURAL}.{part}"], theirs[[0, 1, 3, 4, 2]])
        assert not torch.equal(ours[f"classifiers.{NATURAL}.{part}"], theirs)
    assert not imported.notices


def test_numbered_folders_in_alphabetical_order_are_told(tmp_path: Path, root: Path, numbered: str) -> None:
    imported = take_over(write(tmp_path / "model.pt", weights(num_classes=5)), root, data=numbered)
    (notice,) = imported.notices
    assert notice.startswith("the classes are taken in alphabetical order, 0, 1, 10, 11, 2, ...")
    assert notice.endswith("--classes 0,1,2,10,11")


@pytest.mark.parametrize("classes", [("0", "1"), ("0", "1", "2", "10", "12"), ("0", "0", "1", "2", "10")])
def test_an_order_of_other_classes_is_refused(
    tmp_path: Path, root: Path, numbered: str, classes: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match="name each of them once, in the order of the network's outputs"):
        take_over(write(tmp_path / "model.pt", weights(num_classes=5)), root, data=numbered, classes=classes)
    assert not root.exists()


LEVELS = {"mean": (125.3, 123.0, 113.9), "std": (63.0, 62.1, 66.7)}


@pytest.mark.parametrize("given", [("mean",), ("std",), ("mean", "std")])
def test_a_normalisation_of_levels_is_refused_with_the_right_one(
    file: Path, root: Path, given: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match=r"are for pixels in \[0, 255\].*divide both by 255: --mean .* --std "):
        take_over(file, root, **{name: LEVELS[name] for name in given})
    assert not root.exists()


def test_a_normalisation_of_levels_in_the_file_is_refused(tmp_path: Path, root: Path) -> None:
    content = {**weights(), "mu": torch.tensor(LEVELS["mean"]), "sigma": torch.tensor(LEVELS["std"])}
    with pytest.raises(ConfigError, match=r"--mean 0.4914,0.4824,0.4467 --std 0.2471,0.2435,0.2616"):
        take_over(write(tmp_path / "model.pt", content), root)


def test_another_number_of_classes_is_refused_and_nothing_is_written(tmp_path: Path, root: Path) -> None:
    file = write(tmp_path / "model.pt", weights(num_classes=100))
    with pytest.raises(CheckpointError, match="tells 100 classes apart, and cifar10 has 10; name the data"):
        take_over(file, root)
    assert not root.exists()


def test_the_normalisation_that_is_asked_for_goes_into_the_settings_and_the_network(file: Path, root: Path) -> None:
    imported = take_over(file, root, mean=MEAN, std=STD)
    _, config, network = load_trained_network(imported.checkpoint)
    assert (config.model.mean, config.model.std) == (imported.mean, imported.std) == (MEAN, STD)
    settings = tomllib.loads((imported.directory / "config.toml").read_text())
    assert (settings["model"]["mean"], settings["model"]["std"]) == (list(MEAN), list(STD))
    normalised = (images() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    ours, theirs = logits(network.eval().with_classifier(NATURAL), images()), logits(foreign_resnet(), normalised)
    assert torch.allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def wrapped(path: Path) -> Path:
    return write(path, {**weights(), "mu": torch.tensor(MEAN), "sigma": torch.tensor(STD)})


def test_the_normalisation_of_the_file_goes_into_the_settings(tmp_path: Path, root: Path) -> None:
    imported = take_over(wrapped(tmp_path / "model.pt"), root)
    assert (imported.mean, imported.std) == (MEAN, STD)


def test_a_normalisation_that_contradicts_the_file_is_refused(tmp_path: Path, root: Path) -> None:
    file = wrapped(tmp_path / "model.pt")
    assert take_over(file, root, mean=MEAN).std == STD
    with pytest.raises(ConfigError, match=r"--mean is \(0.0, 0.0, 0.0\), but .*model.pt itself normalises by \(0.5, "):
        take_over(file, root, mean=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("std", [(0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (float("nan"), 1.0, 1.0)])
def test_deviations_that_are_none_are_refused(file: Path, root: Path, std: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="give finite numbers, std above 0"):
        take_over(file, root, std=std)


def test_data_of_an_unknown_form_are_refused(file: Path, root: Path) -> None:
    with pytest.raises(ConfigError, match="--data: unknown data source 'nonsense'; use shapes, cifar10, folder:PATH, "):
        take_over(file, root, data="nonsense")
    with pytest.raises(DataError, match="there is no folder"):
        take_over(file, root, data="folder:/nowhere")


def test_the_class_names_of_a_plugin_s_data_are_taken(file: Path, root: Path) -> None:
    names = tuple(f"kind {number}" for number in range(10))
    images, labels = torch.zeros(10, 3, 4, 4, dtype=torch.uint8), torch.arange(10)
    with registries_restored():
        register_data("mine")(lambda _config, _argument: Images((images, labels), (images, labels), names))
        imported = take_over(file, root, data="mine")
    assert tuple(read_info(imported.checkpoint).metadata["claf.class_names"]) == names


def test_a_full_disk_leaves_no_run_behind(file: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("claf_engine.training.checkpoint.write_atomically", fail)
    with pytest.raises(CheckpointError, match="cannot write .*: No space left on device"):
        take_over(file, root)
    assert list(root.iterdir()) == []


def test_the_record_is_a_json_object_with_stable_keys(file: Path, root: Path) -> None:
    record = json.loads(json.dumps(take_over(file, root).to_record()))
    assert sorted(record) == [
        "arch",
        "checkpoint",
        "class_names",
        "directory",
        "file",
        "file_sha256",
        "mean",
        "notices",
        "num_tensors",
        "output_order",
        "run",
        "std",
        "untrained",
        "weights_sha256",
    ]
    assert record["weights_sha256"] == read_info(Path(record["checkpoint"])).weights_sha256


def test_an_import_leaves_the_global_randomness_as_it_was(file: Path, root: Path) -> None:
    before = torch.get_rng_state()
    take_over(file, root)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_the_model_that_comes_with_autoattack_keeps_its_logits(root: Path) -> None:
    from pyautoattack.examples.resnet import ResNet18

    file = Path(pyautoattack.__file__).parent / "examples" / "model_test.pt"
    imported = take_over(file, root)
    theirs = ResNet18()
    theirs.load_state_dict(read_foreign(file).tensors)
    ours = load_trained_network(imported.checkpoint)[2].eval().with_classifier(NATURAL)
    assert torch.allclose(logits(ours, images()), logits(theirs.eval(), images()), atol=1e-5, rtol=1e-5)
    assert imported.num_tensors == len(theirs.state_dict())
