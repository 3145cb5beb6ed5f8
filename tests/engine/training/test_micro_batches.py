"""Micro-batches give the loss, the gradients and the buffers of the whole batch, in less memory."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.config import ModelConfig
from claf_engine.models.network import Network, build_network
from claf_engine.terms.errors import ConfigError
from claf_engine.training.encoding import encode
from claf_engine.training.losses import supcon_loss
from claf_engine.training.micro_batches import in_micro_batches
from tests.engine.tiny import CPU

NUM_IMAGES, NUM_VIEWS = 16, 3


def network_of(**model: Any) -> Network:
    config = ModelConfig.model_validate({"width": 4, "blocks": [1, 1], **model})
    return build_network(config, 4, torch.Generator().manual_seed(0)).train()


def views(num_images: int = NUM_IMAGES, side: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    tint = torch.arange(num_images * NUM_VIEWS).view(-1, 1, 1, 1) % 5 / 5
    return torch.rand(num_images * NUM_VIEWS, 3, side, side, generator=generator) / 2 + tint / 2


def supcon(network: Network, images: Tensor, **compute: Any) -> Tensor:
    """The loss of a step of stage 2, whose gradients it leaves in the network."""
    projections = network.projection_head(encode(network.encoder, images, Compute(CPU, "fp32", 1, **compute)))
    labels = torch.arange(len(images) // NUM_VIEWS) % 4
    loss = supcon_loss(projections.view(len(labels), NUM_VIEWS, -1), labels, 0.5)
    loss.backward()
    return loss.detach()


def gradients(module: nn.Module) -> Tensor:
    return torch.cat([each.grad.flatten() for each in module.parameters() if each.grad is not None])


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm())


def assert_same_step(module: nn.Module, step: Callable[[nn.Module, bool], Tensor], tolerance: float = 1e-12) -> None:
    """A step with micro-batches gives what it gives without."""
    apart = copy.deepcopy(module)
    whole_loss, loss = step(module, False), step(apart, True)
    assert difference(gradients(module), gradients(apart)) <= tolerance
    assert float((whole_loss - loss).abs()) <= tolerance
    buffers = dict(module.named_buffers())
    assert all(torch.equal(buffers[name], buffer) for name, buffer in apart.named_buffers())


def step_on(images: Tensor) -> Callable[[nn.Module, bool], Tensor]:
    """A step whose loss no BatchNorm makes constant."""

    def step(module: nn.Module, is_apart: bool) -> Tensor:
        loss = ((in_micro_batches(module, images, 5) if is_apart else module(images)) - 1).pow(4).mean()
        loss.backward()
        return loss.detach()

    return step


@pytest.mark.parametrize("size", [1, 7, 16, 48, 100])
def test_in_float64_loss_and_gradients_are_those_of_the_whole_batch(size: int) -> None:
    def step(module: nn.Module, is_apart: bool) -> Tensor:
        features = in_micro_batches(module, images, size) if is_apart else module(images)
        loss = supcon_loss(features.view(NUM_IMAGES, NUM_VIEWS, -1), torch.arange(NUM_IMAGES) % 4, 0.5)
        loss.backward()
        return loss.detach()

    images = views().double()
    assert_same_step(network_of().encoder.double(), step)


@pytest.mark.parametrize(
    ("architecture", "stem"), [("resnet50", "imagenet"), ("preact-resnet18", "cifar"), ("resnet18", "cifar")]
)
def test_every_kind_of_block_of_ours_is_followed(architecture: str, stem: str) -> None:
    images = views(4, side=32 if stem == "imagenet" else 8).double()
    network = network_of(architecture=architecture, stem=stem, width=2)
    assert_same_step(network.encoder.double(), step_on(images), 1e-11)


def test_supcon_by_accumulation_is_exact_to_1e_5_at_two_fifths_of_the_memory() -> None:
    whole, apart = (network_of(width=8, blocks=[2, 2, 2, 2], projection_hidden=16) for _ in range(2))
    images = views(48, side=32)
    losses: list[Tensor] = []
    peaks = [
        peak_bytes(lambda: losses.append(supcon(whole, images))),
        peak_bytes(lambda: losses.append(supcon(apart, images, micro_batch=16))),
    ]
    assert losses[0] == losses[1]
    assert difference(gradients(whole), gradients(apart)) <= 1e-5
    assert peaks[1] <= 0.4 * peaks[0]


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes that torch's allocator held during the work beyond what it held before."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        work()
    held = most = 0
    for event in profile.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def test_the_measure_of_memory_sees_what_was_given_back() -> None:
    assert peak_bytes(lambda: torch.ones(2**20).sum()) >= 4 * 2**20


def test_a_gradient_flows_to_the_images_too() -> None:
    encoder, images = network_of().encoder.double(), views().double().requires_grad_(True)
    (expected,) = torch.autograd.grad(encoder(images).square().sum(), images)
    (found,) = torch.autograd.grad(in_micro_batches(encoder, images, 5).square().sum(), images)
    torch.testing.assert_close(found, expected)


def test_an_encoder_without_batch_norm_keeps_nothing_but_its_images() -> None:
    layers = (nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    assert_same_step(nn.Sequential(*layers).double(), step_on(views().double()))


@pytest.mark.parametrize("settings", [{"affine": False}, {"momentum": None}, {"track_running_stats": False}])
def test_batch_norm_of_every_setting_is_followed(settings: dict[str, Any]) -> None:
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **settings), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    assert_same_step(nn.Sequential(*layers, nn.BatchNorm1d(3, **settings)).double(), step_on(views().double()))


def test_one_batch_norm_that_is_called_twice_is_followed() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

        def forward(self, images: Tensor) -> Tensor:
            hidden = self.norm(self.convolution(images)).relu()
            return self.norm(self.convolution(hidden)).flatten(1)

    assert_same_step(Twice().double(), step_on(views().double()))


def test_frozen_parameters_stay_as_they_are() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3)).double()
    module[0].requires_grad_(False)
    assert_same_step(module, step_on(views().double()))
    assert module[0].weight.grad is None


def test_two_passes_before_one_backward_pass_are_kept_apart() -> None:
    def step(module: nn.Module, is_apart: bool) -> Tensor:
        passed = [in_micro_batches(module, each, 5) if is_apart else module(each) for each in (images, 1 - images)]
        loss = (passed[0] * passed[1]).sum()
        loss.backward()
        return loss.detach()

    images = views().double()
    assert_same_step(network_of().encoder.double(), step)


def test_in_bf16_the_gradient_has_the_direction_of_the_whole_batch() -> None:
    encoder, images = network_of(width=8).encoder, views()
    found = []
    for is_apart in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            features = in_micro_batches(encoder, images, 5) if is_apart else encoder(images)
        F.normalize(features.float()).square().sum(0).pow(2).sum().backward()
        found.append(gradients(encoder))
    assert F.cosine_similarity(*found, dim=0) > 0.98


def test_dropout_is_refused_because_it_would_be_drawn_again() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 3))
    with pytest.raises(ConfigError, match=r"draws random numbers.*runtime.recompute = true"):
        in_micro_batches(encoder, views(), 5)


def test_batch_norm_as_a_function_is_refused() -> None:
    class Bare(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return F.batch_norm(images, None, None, training=True).flatten(1)

    with pytest.raises(ConfigError, match=r"calls batch_norm as a function.*use a module"):
        in_micro_batches(Bare(), views(), 5)


def test_batch_norm_that_computes_on_its_own_is_refused() -> None:
    class Own(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:
            return input - input.mean((0, 2, 3), keepdim=True)

    with pytest.raises(ConfigError, match=r"cannot follow what Own computes"):
        in_micro_batches(nn.Sequential(Own(3), nn.Flatten()), views(), 5)


def test_a_model_that_looks_at_the_size_of_its_batch_is_refused() -> None:
    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, images: Tensor) -> Tensor:
            again = self.norm(images) if len(images) < 10 else images
            return self.norm(again).flatten(1)

    features = in_micro_batches(Looking(), views(), 5)
    with pytest.raises(ConfigError, match="other layers for a micro-batch"):
        features.sum().backward()
