"""Equal weights give equal logits: our architectures against torchvision's and timm's, and a plain restatement."""

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from claf_engine.config import ModelConfig
from claf_engine.models.architectures import own_encoder
from claf_engine.models.library import library_model
from tests.engine.networks import lively

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
NUM_CLASSES = 1000


def ours(architecture: str, stem: str, width: int = 64) -> nn.Module:
    return own_encoder(ModelConfig(architecture=architecture, stem=stem, width=width, **PLAIN)).eval()


def copy_in_order(source: nn.Module, target: nn.Module) -> nn.Linear:
    """Copy an encoder tensor by tensor, in the order of both, which is that of the layers; give back the classifier."""
    theirs, own = dict(source.state_dict()), dict(target.state_dict())
    classifier = nn.Linear(*reversed(theirs["fc.weight"].shape))
    classifier.load_state_dict({"weight": theirs.pop("fc.weight"), "bias": theirs.pop("fc.bias")})
    del own["mean"], own["std"]
    assert [tuple(tensor.shape) for tensor in theirs.values()] == [tuple(tensor.shape) for tensor in own.values()]
    for tensor, other in zip(own.values(), theirs.values(), strict=True):
        tensor.copy_(other)
    return classifier


def images(side: int = 64) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("library", [models, timm], ids=["torchvision", "timm"])
@pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "resnet50"])
def test_equal_weights_give_the_library_s_logits(library: object, architecture: str) -> None:
    build: Callable[..., nn.Module] = models.get_model if library is models else timm.create_model
    theirs, own = lively(build(architecture)), ours(architecture, "imagenet")
    classifier = copy_in_order(theirs, own)
    with torch.no_grad():
        logits, expected = classifier(own(images())), theirs(images())
    assert logits.shape == (2, NUM_CLASSES)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_one_weight_apart_the_logits_differ() -> None:
    theirs, own = lively(models.resnet18()), ours("resnet18", "imagenet")
    classifier = copy_in_order(theirs, own)
    own.get_parameter("blocks.7.conv2.weight").data[0] += 0.1
    with torch.no_grad():
        assert (classifier(own(images())) - theirs(images())).abs().max() > 1e-3


def test_equal_weights_give_the_features_of_timm_s_preactivation_network() -> None:
    theirs, own = lively(timm.create_model("resnetv2_18", num_classes=0)), ours("preact-resnet18", "imagenet")
    names = {"stem.conv": "stem", "norm": "norm"}
    for stage in range(4):
        for block in range(2):
            names[f"stages.{stage}.blocks.{block}.downsample.conv"] = f"blocks.{2 * stage + block}.shortcut"
            names |= {
                f"stages.{stage}.blocks.{block}.{part}": f"blocks.{2 * stage + block}.{part}"
                for part in ("norm1", "conv1", "norm2", "conv2")
            }
    placed = {
        names[name.rpartition(".")[0]] + "." + name.rpartition(".")[2]: t for name, t in theirs.state_dict().items()
    }
    own.load_state_dict(placed | {name: own.state_dict()[name] for name in ("mean", "std")})
    with torch.no_grad():
        torch.testing.assert_close(own(images()), theirs(images()), rtol=1e-5, atol=1e-5)


def norm(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """BatchNorm of eval mode by its formula."""
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


@pytest.mark.parametrize(("depth", "num_blocks"), [(28, 4), (34, 5)])
def test_a_wide_network_is_its_restatement(depth: int, num_blocks: int) -> None:
    """Zagoruyko and Komodakis (2016), table 1: 16 channels, then three groups of n = (depth - 4) / 6 blocks."""
    assert (depth - 4) // 6 == num_blocks
    own = lively(ours(f"wrn-{depth}-10", "cifar", width=8))
    weights = own.state_dict()
    x = F.conv2d(images(8), weights["stem.weight"], padding=1)
    for number in range(3 * num_blocks):
        name, stride = f"blocks.{number}", 2 if number in {num_blocks, 2 * num_blocks} else 1
        active = norm(weights, f"{name}.norm1", x).clamp(min=0)
        hidden = F.conv2d(active, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
        hidden = F.conv2d(
            norm(weights, f"{name}.norm2", hidden).clamp(min=0), weights[f"{name}.conv2.weight"], padding=1
        )
        projection = weights.get(f"{name}.shortcut.weight")
        x = hidden + (x if projection is None else F.conv2d(active, projection, stride=stride))
    expected = norm(weights, "norm", x).clamp(min=0).mean((2, 3))
    with torch.no_grad():
        torch.testing.assert_close(own(images(8)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_s_own_model_is_its_own(library: str) -> None:
    build: Callable[..., nn.Module] = models.get_model if library == "torchvision" else timm.create_model
    theirs, same = (
        lively(build("resnet18")),
        library_model(f"{library}:resnet18", NUM_CLASSES, torch.Generator()).eval(),
    )
    same.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        assert torch.equal(same(images()), theirs(images()))
