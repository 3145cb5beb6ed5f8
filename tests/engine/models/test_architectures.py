import copy

import pytest
import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import OWN_ARCHITECTURES
from claf_engine.models.architectures import BUILDERS, own_encoder
from claf_engine.models.folding import fold, fold_encoder, refold
from claf_engine.models.network import NATURAL, build_network

MILLIONS = {
    "resnet18": 11.169,
    "resnet34": 21.277,
    "resnet50": 23.501,
    "preact-resnet18": 11.167,
    "wrn-28-10": 36.473,
    "wrn-34-10": 46.154,
}
"""Parameters of the published networks on CIFAR, without their classifier: those of ResNets by the counts of
kuangliu/pytorch-cifar, those of wide ones by Zagoruyko and Komodakis (2016), 36.5 M, and Madry et al. (2018), 46 M."""
EACH = pytest.mark.parametrize("architecture", OWN_ARCHITECTURES)


def settings(architecture: str, **changes: object) -> ModelConfig:
    return ModelConfig.model_validate(
        {"architecture": architecture, "width": 8, "projection_hidden": 8, "projection_dim": 4, **changes}
    )


def images(side: int = 16, channels: int = 3) -> Tensor:
    return torch.rand(4, channels, side, side, generator=torch.Generator().manual_seed(1))


def trained(architecture: str, **changes: object) -> nn.Module:
    """A pipeline in train mode whose BatchNorm statistics are far from their start."""
    network = build_network(settings(architecture, **changes), 5, torch.Generator().manual_seed(0))
    model = network.with_classifier(NATURAL)
    for scale in (1, 3):
        model(scale * images(32))
    return model


def test_every_architecture_of_ours_can_be_built() -> None:
    assert tuple(BUILDERS) == OWN_ARCHITECTURES


@pytest.mark.parametrize("architecture", MILLIONS)
def test_the_published_network_has_its_parameters(architecture: str) -> None:
    with torch.device("meta"):
        encoder = own_encoder(ModelConfig(architecture=architecture))
    assert sum(map(nn.Parameter.numel, encoder.parameters())) / 1e6 == pytest.approx(MILLIONS[architecture], abs=1e-3)


@EACH
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_images_of_any_size_become_features(architecture: str, stem: str) -> None:
    encoder = build_network(settings(architecture, stem=stem), 5, torch.Generator()).encoder
    assert encoder(images(33)).shape == (4, encoder.num_features)


@EACH
def test_grey_images_have_one_channel(architecture: str) -> None:
    grey = settings(architecture).model_copy(update={"mean": (0.5,), "std": (0.25,)})
    encoder = build_network(grey, 5, torch.Generator()).encoder
    assert encoder(images(channels=1)).shape == (4, encoder.num_features)


@EACH
def test_equal_seeds_give_equal_weights_and_others_others(architecture: str) -> None:
    one, same, other = (
        build_network(settings(architecture), 5, torch.Generator().manual_seed(seed)).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.stem.weight"], other["encoder.stem.weight"])


@EACH
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_a_folded_encoder_computes_the_same_features(architecture: str, stem: str) -> None:
    encoder = trained(architecture, stem=stem).encoder.eval()
    folded = fold_encoder(encoder)
    with torch.no_grad():
        torch.testing.assert_close(folded(images(32)), encoder(images(32)), rtol=1e-4, atol=1e-5)
    assert len(norms(folded)) < len(norms(encoder))


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@EACH
def test_refolding_follows_every_tensor_of_the_encoder(architecture: str) -> None:
    model = trained(architecture)
    folded = fold(model)
    for tensor in model.encoder.state_dict().values():
        tensor.copy_(tensor * 1.25 if tensor.is_floating_point() else tensor)
    before = copy.deepcopy(folded.state_dict())
    refold(folded, model)
    anew = fold(model).state_dict()
    assert all(torch.equal(tensor, anew[name]) for name, tensor in folded.state_dict().items())
    assert not all(torch.equal(tensor, before[name]) for name, tensor in folded.state_dict().items())


@pytest.mark.parametrize("activation", ["relu", "silu", "softplus"])
@EACH
def test_the_activation_is_the_configured_one(architecture: str, activation: str) -> None:
    smooth = build_network(settings(architecture, activation=activation), 5, torch.Generator()).encoder.eval()
    named = {getattr(module, "activation", None) for module in smooth.modules()} - {None}
    assert len(named) == 1


@pytest.mark.parametrize(("width", "channels"), [(64, 160), (32, 80), (16, 40), (8, 20), (1, 2)])
def test_the_width_of_a_wide_network_scales_its_widening(width: int, channels: int) -> None:
    with torch.device("meta"):
        encoder = own_encoder(ModelConfig(architecture="wrn-28-10", width=width))
    assert encoder.num_features == 4 * channels
    assert encoder.stem.weight.shape[0] == 16


@EACH
def test_gradients_reach_every_weight_and_the_image(architecture: str) -> None:
    model, batch = trained(architecture), images(32).requires_grad_(True)
    model(batch).square().sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())
