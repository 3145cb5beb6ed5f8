import pytest
import torch

from claf_engine.models.network import build_network
from claf_engine.selftest.flops import Flops, layers_of
from claf_engine.selftest.roofline import Arithmetic, Convolution, arithmetic, sample_rates, seconds_at
from tests.engine.tiny import tiny_config

SLOW, FAST = (Convolution(8, (4, width, 3, 3), (1, 1), (1, 1), 1, (width, 8, 8), 100) for width in (2, 4))


def test_the_peak_of_a_mixture_is_weighted_by_the_time_of_each_shape() -> None:
    work = Arithmetic({SLOW: 100, FAST: 300})
    assert seconds_at(work, {SLOW: 50.0, FAST: 100.0}) == 100 / 50 + 300 / 100


def test_a_rate_is_the_flops_of_a_call_over_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 0.001, 0.001, 0.003, 0.003, 0.011, 0.2])
    monkeypatch.setattr("claf_engine.selftest.roofline.time.perf_counter", lambda: next(clock))
    calls: list[int] = []
    rates = sample_rates(lambda: calls.append(1), 16, torch.device("cpu"), 0.1)
    assert rates == [pytest.approx(4 * 16 / 0.008)], "groups grow from one call to two to four, which last long enough"
    assert len(calls) == 1 + 2 + 4


def test_the_arithmetic_of_images_is_that_of_each_convolution_and_no_linear_layer() -> None:
    network = build_network(tiny_config().model, 4, torch.Generator().manual_seed(0))
    layers = layers_of(network.with_classifier("attack"), (3, 8, 8))
    found = arithmetic(layers, 8, 16, lambda flops: flops.attack(3))
    convolutions = [layer.flops for layer in layers if layer.is_convolution]
    assert len(convolutions) < len(layers), "the classifier is linear"
    assert found.total() == 16 * 3 * sum(convolutions, Flops()).attack_gradient
    assert {shape.batch for shape in found} == {8}
