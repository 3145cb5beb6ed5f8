"""Networks of other people are recognised by names and shapes, and give the logits that they give at home."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import Bottleneck

from claf_engine.evaluation.foreign_weights import Converted, convert, read_foreign
from claf_engine.evaluation.recognition import require_arch
from claf_engine.models.network import NATURAL, Pipeline, build_network
from claf_engine.terms.errors import CheckpointError, ConfigError
from tests.engine.networks import WideNetwork, lively, logits, random_images
from tests.engine.resnets import weights, write


def converted(path: Path, content: Any, arch: str | None = None) -> Converted:
    return convert(read_foreign(write(path / "model.pt", content)), arch, path / "model.pt")


def pipeline(found: Converted) -> Pipeline:
    network = build_network(found.model, found.num_classes, torch.Generator())
    network.load_state_dict({**network.state_dict(), **found.tensors})
    return network.eval().with_classifier(NATURAL)


def require_same(found: Converted, theirs: nn.Module, size: int = 32) -> None:
    images = random_images(size=size)
    torch.testing.assert_close(logits(pipeline(found), images), logits(theirs, images), rtol=1e-5, atol=1e-5)


def narrow_timm() -> nn.Module:
    options = {"channels": (8, 16, 32, 64), "stem_chs": 8}
    return timm.create_model("resnetv2_18", num_classes=3, **options)


@pytest.mark.parametrize(
    ("build", "architecture"),
    [
        (lambda: models.resnet18(num_classes=3), "resnet18"),
        (lambda: models.resnet50(num_classes=3), "resnet50"),
        (lambda: timm.create_model("resnet18", num_classes=3), "resnet18"),
        (narrow_timm, "preact-resnet18"),
        (lambda: WideNetwork(4, 10, 3), "wrn-28-10"),
        (lambda: WideNetwork(5, 15, 3), "wrn-34-10"),
    ],
)
def test_a_network_of_a_library_is_recognised_and_keeps_its_logits(
    tmp_path: Path, build: Callable[[], nn.Module], architecture: str
) -> None:
    theirs = lively(build())
    found = converted(tmp_path, theirs.state_dict())
    assert (found.model.architecture, found.num_classes) == (architecture, 3)
    assert found.notices[0].startswith(f"recognised by names and shapes as {architecture} with the ")
    require_same(found, theirs)


@pytest.mark.parametrize(
    ("architecture", "wrap"),
    [
        ("torchvision:shufflenet_v2_x0_5", ""),
        ("timm:resnet10t", "module."),
        ("timm:vit_tiny_patch16_224", "model.module._orig_mod."),
    ],
)
def test_any_network_of_a_library_is_taken_over_by_its_name(tmp_path: Path, architecture: str, wrap: str) -> None:
    library, _, name = architecture.partition(":")
    theirs = lively(
        models.get_model(name, num_classes=3) if library == "torchvision" else timm.create_model(name, num_classes=3)
    )
    content = {f"{wrap}{name}": tensor for name, tensor in theirs.state_dict().items()}
    found = converted(tmp_path, {"state_dict": content}, architecture)
    assert found.model.architecture == architecture
    require_same(found, theirs, 224 if "vit" in architecture else 64)


def robustbench(network: nn.Module) -> dict[str, Any]:
    """As files of RobustBench are: a dict with the weights behind DataParallel, a normalisation among them."""
    return {"state_dict": {f"module.{name}": tensor for name, tensor in network.state_dict().items()}, "epoch": 3}


def test_a_file_of_robustbench_keeps_its_logits_and_its_normalisation(tmp_path: Path) -> None:
    theirs = lively(WideNetwork(4, 10, 10, normalises=True))
    found = converted(tmp_path, robustbench(theirs))
    assert found.model.mean == pytest.approx((0.5, 0.4, 0.3))
    require_same(found, theirs)
    assert found.notices[1] == (
        "left aside, because it is no part of the network: epoch, sub_block1.*, a first group that the code of TRADES "
        "makes and never calls"
    )


def test_a_file_with_the_last_and_the_best_weights_gives_the_last(tmp_path: Path) -> None:
    last, best = lively(WideNetwork(4, 5, 10)), lively(WideNetwork(4, 5, 10), seed=8)
    found = converted(tmp_path, {"last": last.state_dict(), "best": best.state_dict()})
    require_same(found, last)
    assert "left aside, because it is no part of the network: best" in found.notices[1]


@pytest.mark.parametrize("place", [r"^", r"^layer\d\.", r"^layer\d\.\d\."])
@pytest.mark.parametrize("inner", ["module.", "_orig_mod.", "_orig_mod.module.", "_checkpoint_wrapped_module."])
def test_parts_that_were_compiled_or_parallel_are_understood_anywhere(tmp_path: Path, place: str, inner: str) -> None:
    content = {re.sub(place, lambda found: found[0] + inner, name): tensor for name, tensor in weights().items()}
    assert content.keys() != weights().keys()
    plain = converted(tmp_path, weights())
    found = converted(tmp_path, content)
    assert found.tensors.keys() == plain.tensors.keys()
    assert all(torch.equal(tensor, plain.tensors[name]) for name, tensor in found.tensors.items())


def test_averaged_weights_are_taken_over_without_their_count(tmp_path: Path) -> None:
    content = {"n_averaged": torch.tensor(9), **{f"module.{name}": tensor for name, tensor in weights().items()}}
    assert "n_averaged, the count of averaged weights" in converted(tmp_path, content).notices[1]


class Preactivation(nn.Module):
    """A pre-activation ResNet-18 as kuangliu names it, with a BatchNorm before its classifier or without."""

    def __init__(self, *, has_last: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        before = 4
        for stage in range(4):
            width = 4 * 2**stage
            layer = nn.Sequential()
            for _ in range(2):
                layer.append(self.block(before, width))
                before = width
            self.add_module(f"layer{stage + 1}", layer)
        if has_last:
            self.bn = nn.BatchNorm2d(before)
        self.linear = nn.Linear(before, 10)

    @staticmethod
    def block(before: int, width: int) -> nn.Module:
        made = nn.Module()
        made.bn1, made.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, width, 3, 1, 1, bias=False)
        made.bn2, made.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, 1, 1, bias=False)
        if before != width:
            made.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, bias=False))
        return made


def test_what_the_names_of_a_preactivation_network_do_not_tell_is_told(tmp_path: Path) -> None:
    found = converted(tmp_path, Preactivation(has_last=True).state_dict())
    assert found.model.architecture == "preact-resnet18"
    assert found.notices[1].startswith("the names do not tell whether the shortcut of a block takes its input after")


def test_a_preactivation_network_without_a_last_norm_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="network without BatchNorm after its last block, as kuangliu's own, is"):
        converted(tmp_path, Preactivation(has_last=False).state_dict())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: models.ResNet(Bottleneck, [1, 1, 2, 1]),
            r"has stages of 1, 1, 2, 1 blocks, .*--arch torchvision:resnet101",
        ),
        (lambda: WideNetwork(11, 10, 3), "has stages of 11, 11, 11 blocks, which wrn-28-10 and wrn-34-10 have not"),
        (lambda: WideNetwork(4, 8, 3), "the first stage of .* has 8 channels, which no model.width gives"),
        (lambda: models.squeezenet1_0(num_classes=3), "is no network with the usual names: it has no conv1.weight"),
        (lambda: nn.Conv2d(2, 2, 3), "is no network with the usual names"),
    ],
)
def test_what_is_none_of_ours_is_refused_with_what_it_has(
    tmp_path: Path, build: Callable[[], nn.Module], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        converted(tmp_path, build().state_dict())


def test_images_of_four_channels_are_refused(tmp_path: Path) -> None:
    content: dict[str, Tensor] = {**weights(), "conv1.weight": torch.zeros(2, 4, 3, 3)}
    with pytest.raises(CheckpointError, match=r"is of no network that can be taken over: model\.mean has 4 values"):
        converted(tmp_path, content)


def test_a_gray_network_is_taken_over(tmp_path: Path) -> None:
    content = {**weights(), "conv1.weight": weights()["conv1.weight"][:, :1].clone()}
    assert converted(tmp_path, content).model.mean == (0.0,)


def test_another_architecture_than_the_weights_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit wrn-28-10 with the CIFAR stem"):
        converted(tmp_path, weights(), "wrn-28-10")


def test_an_architecture_that_nobody_has_is_one_sentence() -> None:
    assert require_arch("wrn-34-10") == "wrn-34-10"
    with pytest.raises(ConfigError, match="--arch: unknown architecture 'resnet19'; use resnet, resnet18"):
        require_arch("resnet19")


def test_a_folder_of_timm_is_read_with_its_normalisation(tmp_path: Path) -> None:
    theirs = lively(timm.create_model("resnet10t", num_classes=3))
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    statistics = {"mean": [0.5, 0.4, 0.3], "std": [1, 1, 2]}
    config = {"architecture": "resnet10t", "num_classes": 3, "pretrained_cfg": statistics}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = convert(read_foreign(tmp_path), None, tmp_path)
    assert (found.model.architecture, found.model.mean) == ("timm:resnet10t", (0.5, 0.4, 0.3))
    mean, std = (torch.tensor(statistics[name]).view(3, 1, 1) for name in ("mean", "std"))
    normalised = (random_images() - mean) / std
    ours = logits(pipeline(found), random_images())
    torch.testing.assert_close(ours, logits(theirs, normalised), rtol=1e-5, atol=1e-5)


def test_a_folder_of_timm_with_a_resnet_is_ours(tmp_path: Path) -> None:
    save_file(lively(models.resnet18(num_classes=3)).state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"architecture": "resnet18", "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}')
    found = convert(read_foreign(tmp_path), None, tmp_path)
    assert (found.model.architecture, found.model.stem, found.model.mean) == ("resnet18", "imagenet", (0.5,) * 3)
