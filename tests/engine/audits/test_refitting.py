import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.diagnostic import NotRun
from claf_engine.audits.refitting import (
    ADVERSARIAL_SHARE,
    PER_CLASS,
    WEIGHT_DECAY,
    adversarial_fit_steps,
    class_means,
    encode,
    features_of,
    fit_linear,
    nearest_mean,
    require_gradient,
    require_network,
    training_features_steps,
)
from claf_engine.data import Split, to_pixels
from claf_engine.models.network import NATURAL
from tests.engine.audits.fixtures import BUDGET, bench_of, images_of, robust, robust_network, undefended_network
from tests.engine.tiny import FP32, exhaust
from tests.properties import examples

TRAIN = images_of(400, seed=1)


def bench(**changes: Any) -> Bench:
    options: dict[str, Any] = {"network": robust_network(), "train": TRAIN, **changes}
    return bench_of(robust(), **options)


def clouds(count: int = 90, spread: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features (count, 5) of three classes, in coordinates of very different size."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    means = 3 * torch.randn(3, 5, generator=generator)
    features = means[labels] + spread * torch.randn(count, 5, generator=generator)
    return 100 + features * torch.tensor([0.01, 1.0, 1.0, 10.0, 0.0]), labels


def regularised_loss(linear: nn.Linear, features: Tensor, labels: Tensor) -> Tensor:
    deviation = features.std(0, correction=0)
    return F.cross_entropy(linear(features), labels) + WEIGHT_DECAY / 2 * (linear.weight * deviation).square().sum()


def test_the_fit_is_a_minimum() -> None:
    features, labels = clouds(spread=3)
    linear, exact = fit_linear(features, labels, 3).double(), features.double()
    least = regularised_loss(linear, exact, labels)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        moved = copy.deepcopy(linear)
        step = 0.03 * torch.randn(3, 5, generator=generator).double() / exact.std(0, correction=0).clamp(min=1e-3)
        moved.weight.add_(step)
        moved.bias.sub_(step @ exact.mean(0))
        assert regularised_loss(moved, exact, labels) > least


def test_the_fit_tells_classes_apart_that_can_be() -> None:
    features, labels = clouds(spread=0.1)
    assert torch.equal(fit_linear(features, labels, 3)(features).argmax(1), labels)


def test_the_fit_draws_nothing_at_random() -> None:
    features, labels = clouds()
    assert torch.equal(fit_linear(features, labels, 3).weight, fit_linear(features, labels, 3).weight)


def test_going_on_from_a_fit_gives_the_same_fit() -> None:
    features, labels = clouds(spread=3)
    linear = fit_linear(features, labels, 3)
    again = fit_linear(features, labels, 3, linear)
    torch.testing.assert_close(again(features), linear(features), atol=2e-3, rtol=2e-3)


@examples(30)
@given(st.integers(0, 100), st.floats(0.1, 5))
def test_the_nearest_mean_is_what_it_says(seed: int, spread: float) -> None:
    features, labels = clouds(30, spread, seed)
    features = features - 100
    distances = torch.cdist(features.double(), class_means(features.double(), labels, 3))
    nearest = nearest_mean(features.double(), labels, 3)(features.double()).argmax(1)
    assert torch.equal(nearest, distances.argmin(1))


def test_the_mean_of_a_class_is_of_its_features_alone() -> None:
    features, labels = torch.tensor([[1.0], [2.0], [5.0]]), torch.tensor([0, 1, 0])
    assert class_means(features, labels, 2).tolist() == [[3.0], [2.0]]


def test_features_are_the_encoders() -> None:
    network, images = robust_network(), to_pixels(TRAIN.images[:8])
    with torch.no_grad():
        plain = network.encoder(images)
    torch.testing.assert_close(encode(features_of(network.encoder), images, FP32), plain, atol=1e-4, rtol=1e-4)


def test_as_many_images_are_fitted_on_as_the_budget_affords() -> None:
    features, labels = exhaust(training_features_steps(bench()))[1]
    assert len(features) == len(labels) == BUDGET.fit_images


def test_the_adversarial_fit_sees_a_share_of_the_images() -> None:
    begun = bench(train=TRAIN.first(BUDGET.fit_images // ADVERSARIAL_SHARE))
    encoder = features_of(robust_network().encoder)
    start = robust_network().classifiers[NATURAL]
    assert isinstance(start, nn.Linear)
    whole = exhaust(adversarial_fit_steps(bench(), encoder, start))[1]
    assert torch.equal(whole.weight, exhaust(adversarial_fit_steps(begun, encoder, start))[1].weight)


def test_the_adversarial_fit_is_to_attacked_images() -> None:
    network = undefended_network()
    features, labels = exhaust(training_features_steps(bench(network=network)))[1]
    natural = fit_linear(features, labels, 4)
    adversarial = exhaust(adversarial_fit_steps(bench(network=network), features_of(network.encoder), natural))[1]
    # An attack turns every texture over, so that whoever has fitted attacked images is wrong about natural ones.
    assert (natural(features).argmax(1) == labels).double().mean() > 0.9
    assert (adversarial(features).argmax(1) == labels).double().mean() < 0.5


def test_fitting_leaves_the_network_untouched() -> None:
    network = robust_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    features, labels = exhaust(training_features_steps(bench()))[1]
    exhaust(adversarial_fit_steps(bench(), features_of(network.encoder), fit_linear(features, labels, 4)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": None}, "needs an encoder"),
        ({"train": None}, "needs training images"),
        ({"train": Split(TRAIN.images[:0], TRAIN.labels[:0])}, "needs training images"),
    ],
)
def test_without_encoder_or_images_nothing_is_fitted(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotRun, match=reason):
        require_network(bench(**changes))


def test_every_class_needs_an_image_among_those_that_are_fitted_on() -> None:
    kept = TRAIN.labels != 3
    incomplete = Split(TRAIN.images[kept], TRAIN.labels[kept])
    with pytest.raises(NotRun, match="training images to fit on hold none of class 3"):
        exhaust(training_features_steps(bench(train=incomplete)))


def test_with_many_classes_a_few_images_of_each_are_fitted_on() -> None:
    few = replace(BUDGET, fit_images=3)
    _, (_, labels) = exhaust(training_features_steps(bench(budget=few)))
    assert len(labels) == min(len(TRAIN), PER_CLASS * (int(TRAIN.labels.max()) + 1))


@pytest.mark.parametrize("factor", [0.0, float("nan")])
def test_features_without_a_gradient_are_not_attacked(factor: float) -> None:
    class Dead(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            features = images.flatten(1)
            if images.requires_grad:
                features.register_hook(lambda gradient: gradient * factor)  # type: ignore[no-untyped-call]
            return features

    with pytest.raises(NotRun, match="no gradient"):
        require_gradient(Dead(), to_pixels(TRAIN.images[:8]), FP32)
