"""FLOPs counted from the structure of a network, against torch's own count of what it executes."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from claf_engine.config import ModelConfig
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen, training
from claf_engine.models.network import ATTACK_CLASSIFIER, Pipeline, build_network
from claf_engine.selftest.flops import Flops, count, layers_of

BATCH = 2
IMAGES = torch.rand(BATCH, 3, 16, 16, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def model() -> Pipeline:
    config = ModelConfig(width=4, blocks=(1, 2))
    return build_network(config, 10, torch.Generator().manual_seed(0)).with_classifier(ATTACK_CLASSIFIER)


def counted(model: nn.Module) -> Flops:
    return count(layers_of(model, tuple(IMAGES.shape[1:])))


def executed(work: Callable[[], object]) -> float:
    """FLOPs of one image, as torch counts them while it computes."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / BATCH


def attack_gradient(model: nn.Module) -> None:
    with frozen(model):
        model(IMAGES.clone().requires_grad_(True)).sum().backward()


def train(model: nn.Module) -> None:
    with training(model):
        model(IMAGES).sum().backward()


def test_forward_counts_what_torch_executes(model: Pipeline) -> None:
    assert counted(model).forward == executed(lambda: model.eval()(IMAGES)) > 0


def test_an_attack_gradient_counts_what_torch_executes(model: Pipeline) -> None:
    assert counted(model).attack_gradient == executed(lambda: attack_gradient(model)) == 2 * counted(model).forward


def test_training_counts_what_torch_executes_and_sends_nothing_back_to_the_images(model: Pipeline) -> None:
    assert counted(model).training == executed(lambda: train(model)) < 3 * counted(model).forward


def test_strided_convolutions_count_what_torch_executes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 4, 3))
    assert counted(model).training == executed(lambda: train(model))


def test_the_groups_of_a_convolution_divide_its_arithmetic() -> None:
    model = nn.Conv2d(4, 6, 3, groups=2)
    assert count(layers_of(model, (4, 16, 16))).forward == 2 * (14 * 14) * 6 * (2 * 3 * 3)


def test_a_folded_network_counts_like_the_one_it_was_folded_from(model: Pipeline) -> None:
    assert counted(fold(model)) == counted(model)


def test_the_cifar_resnet_18_is_the_known_1_1_gflops() -> None:
    network = build_network(ModelConfig(width=64), 10, torch.Generator().manual_seed(0))
    assert count(layers_of(network.with_classifier(ATTACK_CLASSIFIER))).forward == 2 * 555_422_720


def test_counting_leaves_the_model_as_it_was(model: Pipeline) -> None:
    model.requires_grad_(False).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers_of(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_an_attack_and_a_retraining_cost_their_passes() -> None:
    flops = Flops(forward=1, attack_gradient=2, training=3)
    assert flops.attack(steps=5) == 10
    assert flops.retraining(sweeps=5, steps=5) == 5 * (10 + 1)


def test_padding_by_name_is_refused() -> None:
    with pytest.raises(ValueError, match="same"):
        layers_of(nn.Conv2d(3, 4, 3, padding="same"))
