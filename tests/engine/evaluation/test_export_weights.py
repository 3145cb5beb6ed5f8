"""Exports give the checkpoint's logits in plain torchvision, timm and ONNX Runtime, and come back bit for bit."""

import builtins
import errno
import json
import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torchvision import models, transforms

from claf_engine.config import DataConfig
from claf_engine.config.plugins import load_model
from claf_engine.evaluation import export_weights
from claf_engine.evaluation.export_weights import Exported, ExportRequest, export_checkpoint
from claf_engine.evaluation.import_weights import ImportRequest, import_checkpoint
from claf_engine.models.network import NATURAL
from claf_engine.runs.exporting import export_network
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.checkpoint import load_trained_network
from tests.engine.networks import SHAPES, checkpoint_of, logits, random_images, trained
from tests.engine.pictures import write_folder
from tests.engine.resnets import weights, write
from tests.plugins import plugin_file, registries_restored

NARROW: dict[str, Any] = {"architecture": "resnet18", "width": 4}
PAGE = Path(__file__).parents[3] / "docs" / "models.md"
"""As documented: nothing of ours is imported."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_of(tmp_path_factory.mktemp("narrow"), **NARROW)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 of the width that libraries have."""
    return checkpoint_of(tmp_path_factory.mktemp("published"), architecture="resnet18")


def export(checkpoint: Path, folder: Path, **options: Any) -> Exported:
    return export_checkpoint(ExportRequest(checkpoint, folder, **options))


def executed(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """What `model` is after lines of Python that were run in a folder."""
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    exec(text, found)  # the lines of the documentation
    model: nn.Module = found["model"]
    return model


def test_the_documented_lines_load_it_in_plain_torchvision(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(published, tmp_path / "out", names="torchvision")
    documented = PAGE.read_text().partition("from within the folder:\n")[2]
    theirs = executed(tmp_path / "out", dedent(documented.lstrip("\n")), monkeypatch)
    assert isinstance(theirs[1], models.ResNet)
    torch.testing.assert_close(
        logits(theirs, random_images()), logits(trained(published), random_images()), rtol=1e-5, atol=1e-5
    )


def test_timm_loads_it_alone_where_the_stem_is_its_own(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(tmp_path, architecture="resnet18", stem="imagenet", size=32)
    export(checkpoint, tmp_path / "out", names="timm")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    config = theirs.pretrained_cfg
    normalise = transforms.Normalize(config["mean"], config["std"])
    found = logits(theirs, normalise(random_images(size=32)))
    torch.testing.assert_close(found, logits(trained(checkpoint), random_images(size=32)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_a_narrow_preactivation_network_is_timm_s(tmp_path: Path, stem: str) -> None:
    checkpoint = checkpoint_of(tmp_path, architecture="preact-resnet18", width=8, stem=stem, size=32)
    assert export(checkpoint, tmp_path / "out", names="timm").compared_with == "timm"


@pytest.mark.parametrize("architecture", ["torchvision:shufflenet_v2_x0_5", "timm:resnet10t"])
@pytest.mark.parametrize("mean", [(0.5, 0.4, 0.3), (0.5,)])
def test_a_network_of_a_library_is_exported_to_it(tmp_path: Path, architecture: str, mean: tuple[float, ...]) -> None:
    library = architecture.partition(":")[0]
    checkpoint = checkpoint_of(tmp_path, architecture=architecture, mean=mean, std=mean, size=64)
    exported = export(checkpoint, tmp_path / "out", names=library)
    assert (exported.compared_with, exported.difference < 1e-4) == (library, True)


WAYS = [
    ({"architecture": "resnet", "width": 4, "blocks": (1, 2)}, ("ours", "kuangliu")),
    ({"architecture": "resnet18", "width": 4, "stem": "imagenet"}, ("ours", "kuangliu")),
    ({"architecture": "resnet50", "width": 4}, ("kuangliu",)),
    ({"architecture": "resnet18", "width": 4, "mean": (0.3,), "std": (0.2,)}, ("ours", "kuangliu")),
    ({"architecture": "preact-resnet18", "width": 8}, ("ours", "kuangliu", "timm")),
    ({"architecture": "wrn-28-10", "width": 2}, ("ours", "trades")),
    ({"architecture": "wrn-34-10", "width": 3}, ("trades",)),
    ({"architecture": "resnet18", "activation": "silu", "width": 4}, ("ours",)),
    ({"architecture": "resnet18", "width": 4, "logits": "cosine", "logit_scale": 10.0}, ("ours",)),
    ({"architecture": "torchvision:shufflenet_v2_x0_5"}, ("ours", "torchvision")),
    ({"architecture": "timm:resnet10t"}, ("ours", "timm")),
]


@pytest.mark.parametrize(("model", "naming"), [(model, naming) for model, namings in WAYS for naming in namings])
def test_what_is_exported_and_imported_is_the_same_bit_for_bit(
    tmp_path: Path, model: dict[str, Any], naming: str
) -> None:
    checkpoint = checkpoint_of(tmp_path, size=32, **model)
    export(checkpoint, tmp_path / "out", names=naming)
    imported = import_checkpoint(ImportRequest(tmp_path / "out", None, "back"), tmp_path)
    before, after = load_trained_network(checkpoint), load_trained_network(imported.checkpoint)
    parts = ("encoder.", f"classifiers.{NATURAL}.")
    there, here = before.network.state_dict(), after.network.state_dict()
    assert there.keys() == here.keys()
    assert all(torch.equal(there[name], here[name]) for name in there if name.startswith(parts))
    settings = ("architecture", "stem", "width", "activation", "logits", "logit_scale", "mean", "std")
    assert all(getattr(before.config.model, name) == getattr(after.config.model, name) for name in settings)
    assert after.info.metadata["claf.class_names"] == before.info.metadata["claf.class_names"]
    assert after.info.metadata["claf.image_size"] == [32, 32]


def test_a_published_network_comes_back_from_torchvision_s_names(published: Path, tmp_path: Path) -> None:
    export(published, tmp_path / "out", names="torchvision")
    (tmp_path / "out" / "config.json").unlink()
    imported = import_checkpoint(
        ImportRequest(tmp_path / "out", None, "back", "shapes", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        tmp_path,
    )
    assert imported.notices[0].startswith("recognised by names and shapes as resnet18 with the CIFAR stem")
    assert torch.equal(
        logits(trained(imported.checkpoint), random_images()), logits(trained(published), random_images())
    )


def test_ours_is_what_the_browser_exports(narrow: Path, tmp_path: Path) -> None:
    export(narrow, tmp_path / "out")
    export_network(narrow, tmp_path / "browser.safetensors")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (tmp_path / "browser.safetensors").read_bytes()


def test_the_browser_s_export_is_imported_without_a_config(narrow: Path, tmp_path: Path) -> None:
    export_network(narrow, tmp_path / "browser.safetensors")
    imported = import_checkpoint(ImportRequest(tmp_path / "browser.safetensors", None, "back"), tmp_path)
    assert torch.equal(logits(trained(imported.checkpoint), random_images()), logits(trained(narrow), random_images()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "has_runtime"),
    [
        ({"blocks": (1, 1), "width": 4, "logits": "cosine"}, True),
        ({"architecture": "preact-resnet18", "width": 2, "mean": (0.3,), "std": (0.2,)}, False),
    ],
)
def test_onnx_gives_the_logits_for_any_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], has_runtime: bool
) -> None:
    if not has_runtime:
        without("onnxruntime", monkeypatch)
    checkpoint = checkpoint_of(tmp_path, **model)
    exported = export(checkpoint, tmp_path / "out", format="onnx")
    assert exported.compared_with == ("ONNX Runtime" if has_runtime else "the reference of onnx")
    monkeypatch.undo()
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    images = random_images(channels=len(model.get("mean", (0, 0, 0))))
    for count in (1, 4):
        found = torch.from_numpy(session.run(["logits"], {"images": images[:count].numpy()})[0])
        torch.testing.assert_close(found, logits(trained(checkpoint), images[:count]), rtol=1e-4, atol=1e-4)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["pixels_to_logits"] == "logits = model(images)"


def without(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an import fail as where a library is not installed."""
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.parametrize("library", ["onnx", "onnxscript"])
def test_without_onnx_the_extra_is_named(
    narrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    without(library, monkeypatch)
    with pytest.raises(ConfigError, match=r"ONNX needs .*; get it with .*\[onnx\]"):
        export(narrow, tmp_path / "out", format="onnx")
    assert not (tmp_path / "out").exists()


def test_onnx_has_no_names(narrow: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave --names out"):
        export(narrow, tmp_path / "out", format="onnx", names="torchvision")


def test_a_naming_that_has_no_such_network_is_refused(narrow: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="have 64 channels in their first stage, and this one 4"):
        export(narrow, tmp_path / "out", names="torchvision")
    assert not (tmp_path / "out").exists()


def test_what_gives_other_logits_is_not_kept(narrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export_weights.renamed

    def wrong(*arguments: Any) -> dict[str, torch.Tensor]:
        tensors = real(*arguments)
        tensors["layer4.1.bn2.bias"][0] += 0.1
        return tensors

    monkeypatch.setattr(export_weights, "renamed", wrong)
    with pytest.raises(CheckpointError, match="nothing was exported: logits of claf-tui differ by"):
        export(narrow, tmp_path / "out", names="kuangliu")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unless_asked_for(narrow: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    export(narrow, tmp_path)
    with pytest.raises(CheckpointError, match=r"has model\.safetensors, config\.json already.*--force"):
        export(narrow, tmp_path)
    with pytest.raises(CheckpointError, match=r"README\.md already"):
        export(narrow, tmp_path, format="hub")
    assert (tmp_path / "README.md").read_text() == "mine"


def test_replacing_leaves_other_files_alone(narrow: Path, tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("mine")
    export(narrow, tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    export(narrow, tmp_path, names="kuangliu", replaces=True)
    assert (tmp_path / "model.safetensors").read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitattributes", "config.json", "model.safetensors"]


def test_a_file_in_place_of_the_folder_is_refused(narrow: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(CheckpointError, match="is no folder"):
        export(narrow, tmp_path / "out", replaces=True)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    narrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export_weights, "write_atomically", fail)
    with pytest.raises(CheckpointError, match="cannot write into .*: No space left on device; name another folder"):
        export(narrow, tmp_path / "out", names="kuangliu")
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_classifier_is_not_exported(narrow: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the attack classifier of .* is untrained"):
        export(narrow, tmp_path / "out", classifier="attack")


def test_config_says_all_that_others_need(narrow: Path, tmp_path: Path) -> None:
    exported = export(narrow, tmp_path / "out", names="kuangliu")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    wanted = {
        "architecture": "resnet18",
        "names": "kuangliu",
        "num_classes": 10,
        "num_channels": 3,
        "image_size": [16, 16],
        "input_range": [0.0, 1.0],
        "mean": [0.4914, 0.4822, 0.4465],
        "pixels_to_logits": "logits = model((images - mean) / std)",
        "classifier": "natural",
        "weights_sha256": exported.weights_sha256,
        "robustness": None,
        "file": "model.safetensors",
    }
    assert {key: config[key] for key in wanted} == wanted
    assert "license" not in config
    names = set(load_file(tmp_path / "out" / "model.safetensors"))
    assert {"conv1.weight", "layer2.0.shortcut.1.running_var", "layer4.1.bn2.bias", "linear.bias"} <= names


def test_the_path_of_the_images_stays_at_home(tmp_path: Path) -> None:
    images = tmp_path / "secret place" / "animals"
    for part in ("train/cat", "test/cat"):
        (images / part).mkdir(parents=True)
    checkpoint = checkpoint_of(tmp_path, classes=("cat",), source=f"folder:{images}", **NARROW)
    for naming in ("ours", "kuangliu"):
        export(checkpoint, tmp_path / naming, names=naming, format="hub")
        assert not any(b"secret" in path.read_bytes() for path in (tmp_path / naming).iterdir())
    with safe_open(tmp_path / "ours" / "model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["claf.config"])["data"]["source"] == "folder:animals"


def test_the_record_is_a_json_object(narrow: Path, tmp_path: Path) -> None:
    record = json.loads(json.dumps(export(narrow, tmp_path / "out").to_record()))
    assert record["files"] == ["config.json", "model.safetensors"]
    assert (record["names"], record["compared_with"], record["difference"]) == ("ours", "claf-tui", 0.0)


def test_an_export_leaves_the_global_randomness_as_it_was(published: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    export(published, tmp_path / "out", names="torchvision")
    assert torch.equal(before, torch.get_rng_state())


NET = """
    from torch import nn

    def build(num_classes):
        pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), *pooled, nn.Linear(4, num_classes))

    def whole(num_classes):
        return nn.Sequential(build(num_classes), nn.Softplus())
"""


@pytest.mark.parametrize("function", ["build", "whole"])
def test_a_model_of_a_file_comes_back_where_its_file_is_loaded(tmp_path: Path, function: str) -> None:
    with registries_restored():
        name = load_model(f"{plugin_file(tmp_path, NET, 'net.py')}:{function}")
        checkpoint = checkpoint_of(tmp_path, architecture=name)
        export(checkpoint, tmp_path / "out", format="hub")
        assert "mean" not in (tmp_path / "out" / "README.md").read_text()
        told = json.loads((tmp_path / "out" / "config.json").read_text())
        assert (told["mean"], told["std"], told["num_channels"]) == (None, None, 3)
        imported = import_checkpoint(ImportRequest(tmp_path / "out", None, "back"), tmp_path)
        same = logits(trained(imported.checkpoint), random_images()), logits(trained(checkpoint), random_images())
        assert torch.equal(*same)
        with pytest.raises(ConfigError, match="can be exported with --names ours, not torchvision"):
            export(checkpoint, tmp_path / "other", names="torchvision")
        with pytest.raises(ConfigError, match=f"claf-tui eval --model net.py:{function} --weights"):
            import_checkpoint(ImportRequest(write(tmp_path / "x.pt", weights()), name, "x"), tmp_path)


def test_outputs_of_a_whole_model_are_not_taken_in_another_order(tmp_path: Path) -> None:
    with registries_restored():
        name = load_model(f"{plugin_file(tmp_path, NET, 'net.py')}:whole")
        export(checkpoint_of(tmp_path, architecture=name), tmp_path / "out")
        order = tuple(reversed(SHAPES))
        with pytest.raises(CheckpointError, match="does not end in a linear layer, so that its outputs stay in the"):
            import_checkpoint(ImportRequest(tmp_path / "out", None, "back", classes=order), tmp_path)


def test_images_that_were_cut_are_cut_again_after_an_import(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pets", {"train": 2, "test": 2}, side=24)
    trained_on = DataConfig(source=f"folder:{folder}", image_size=16)
    checkpoint = checkpoint_of(tmp_path, classes=("class000", "class001"), images=trained_on, **NARROW)
    for naming in ("ours", "kuangliu"):
        export(checkpoint, tmp_path / naming, names=naming)
        request = ImportRequest(tmp_path / naming, None, naming, data=f"folder:{folder}")
        assert load_trained_network(import_checkpoint(request, tmp_path).checkpoint).config.data == trained_on
