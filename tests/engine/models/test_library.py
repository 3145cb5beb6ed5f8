import sys
import warnings

import pytest
import torch
from torch import nn
from torchvision import models

from claf_engine.config import ModelConfig
from claf_engine.models.folding import fold
from claf_engine.models.library import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    LibraryModel,
    library_model,
    split_classifier,
    usual_normalisation,
    whole_library_model,
)
from claf_engine.models.network import NATURAL, Network, build_network
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.installation import install_line

SMALL = ("torchvision:resnet18", "timm:resnet10t")


def build(architecture: str, seed: int = 0, **changes: object) -> Network:
    config = ModelConfig(architecture=architecture, projection_hidden=8, projection_dim=4).model_copy(update=changes)
    return build_network(config, 3, torch.Generator().manual_seed(seed))


def refusal(architecture: str) -> str:
    with pytest.raises(ConfigError) as refused:
        build(architecture)
    return str(refused.value)


@pytest.mark.parametrize("architecture", SMALL)
def test_a_library_s_model_stands_in_the_network_without_its_classifier(architecture: str) -> None:
    network, images = build(architecture), torch.rand(2, 3, 40, 40)
    assert network.with_classifier(NATURAL)(images).shape == (2, 3)
    assert network.encoder(images).shape == (2, network.encoder.num_features) == (2, 512)
    assert not any(isinstance(module, nn.Linear) for module in network.encoder.modules())


@pytest.mark.parametrize("architecture", SMALL)
def test_its_weights_come_from_the_run_s_generator_alone(architecture: str) -> None:
    torch.rand(3)
    before = torch.get_rng_state()
    one, same, other = (build(architecture, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one if name.startswith("encoder.module."))


def test_it_is_given_normalised_images() -> None:
    network, images = build("torchvision:resnet18"), torch.rand(2, 3, 40, 40)
    encoder = network.encoder.eval()
    assert isinstance(encoder, LibraryModel)
    expected = encoder.module((images - encoder.mean) / encoder.std)
    torch.testing.assert_close(encoder(images), expected)


def test_a_grey_image_is_given_as_a_coloured_one() -> None:
    encoder, grey = build("torchvision:resnet18", mean=(0.5,), std=(0.25,)).encoder.eval(), torch.rand(2, 1, 40, 40)
    coloured = build("torchvision:resnet18", mean=(0.5,) * 3, std=(0.25,) * 3).encoder.eval()
    torch.testing.assert_close(encoder(grey), coloured(grey.expand(-1, 3, -1, -1)))


def test_it_is_attacked_as_it_is() -> None:
    model = build("torchvision:resnet18").with_classifier(NATURAL)
    assert fold(model) is model


def test_its_representation_has_its_name() -> None:
    assert "torchvision:resnet18" in repr(build("torchvision:resnet18").encoder)


def test_what_gives_more_than_logits_in_train_mode_is_built_without_that() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = library_model("torchvision:googlenet", 3, torch.Generator())
    assert isinstance(model.train()(torch.rand(2, 3, 64, 64)), torch.Tensor)


def test_the_classifier_of_a_vision_transformer_is_its_last_layer() -> None:
    with torch.device("meta"):
        split = split_classifier(models.get_model("vit_b_32", num_classes=7), "vit_b_32")
    assert (split.classifier.in_features, split.classifier.out_features) == (768, 7)


def test_a_model_that_torchvision_does_not_have_is_refused_with_the_nearest() -> None:
    assert refusal("torchvision:resnet55").startswith("torchvision has no classifier 'resnet55'; did you mean ")


def test_a_detector_is_no_classifier() -> None:
    assert "torchvision has no classifier 'fasterrcnn_resnet50_fpn'" in refusal("torchvision:fasterrcnn_resnet50_fpn")


def test_a_model_that_timm_does_not_have_is_refused_with_the_nearest() -> None:
    assert refusal("timm:resnet10x").startswith("timm has no model 'resnet10x'; did you mean ")


def test_a_model_without_a_linear_classifier_is_refused() -> None:
    assert "torchvision:squeezenet1_1 has no linear classifier to take off" in refusal("torchvision:squeezenet1_1")


def test_without_timm_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert refusal("timm:resnet10t") == f"timm is not installed; get it with {install_line('timm')}"


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_a_library_alone_is_no_architecture(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is a library: say which of its models, such as {name}:resnet50"):
        ModelConfig(architecture=name)


def test_the_usual_normalisation_is_that_of_the_published_weights() -> None:
    assert usual_normalisation("torchvision:resnet50") == (IMAGENET_MEAN, IMAGENET_STD)
    assert usual_normalisation("timm:vit_base_patch16_224") == ((0.5,) * 3, (0.5,) * 3)


def test_a_whole_model_gives_logits_of_normalised_images() -> None:
    config = ModelConfig(architecture="torchvision:resnet18", mean=IMAGENET_MEAN, std=IMAGENET_STD)
    model, images = whole_library_model(config, 5, torch.Generator()).eval(), torch.rand(2, 3, 40, 40)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(model(images), model.module((images - mean) / std))
    assert model(images).shape == (2, 5)


def test_a_torchvision_that_cannot_be_imported_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert refusal("torchvision:resnet18").endswith("; `claf-tui doctor` says what to do")
