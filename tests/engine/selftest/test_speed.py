import pytest
import torch

from claf_engine.config.presets import parse_override, resolve_config
from claf_engine.selftest import speed
from claf_engine.selftest.checks import device_steps
from claf_engine.selftest.flops import count, layers_of
from claf_engine.selftest.speed import Bench, Speed, kind_of, percent, scaled, shares_of, speed_checks, told
from tests.engine.tiny import FP32, exhaust


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(speed, "PEAK_SECONDS", 0.0)
    monkeypatch.setattr(speed, "PROFILED_SECONDS", 0.0)
    overrides = [parse_override(text) for text in ("batch_size=8", "model.width=4", "model.blocks=[1]")]
    return Bench(resolve_config("smoke", overrides=overrides))


def test_every_piece_of_training_is_measured_and_its_shares_belong_together(bench: Bench) -> None:
    _, rows = exhaust(device_steps(bench.places, speed_checks(bench)))
    assert [row.name for row in rows] == ["data", "views", "attack", "retraining", "supcon", "encoder"]
    for row in rows:
        assert row.verdict in {"passes", "warns"}, row
        assert row.values["share"] == pytest.approx(row.values["attained"] / row.values["attainable"])
        assert row.values["milliseconds"] > 0
        assert 0 < sum(row.values["rest"].values()) <= 1 + 1e-9


def test_what_a_retraining_computes_is_its_attack_and_a_pass(bench: Bench) -> None:
    steps = bench.config.attack.steps
    attack = speed._arithmetic(bench, 1, lambda flops: flops.attack(steps))
    retraining = speed._arithmetic(bench, 1, lambda flops: flops.retraining(1, steps))
    layers = layers_of(bench.session.state.network.encoder, (3, speed.SIDE, speed.SIDE))
    assert retraining.total() - attack.total() == 8 * count(layers).forward


def test_a_slower_piece_attains_less_of_the_same_best(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(speed, "shares_of", lambda *_: {"copies": 0.5, "convolutions": 0.4})
    monkeypatch.setattr(speed.time, "perf_counter", lambda: 2.0 * next(clock))
    found = bench.speed(lambda: None, 100, 1.0, "convolutions")
    assert (found.seconds, found.attained, found.attainable, found.share) == (2.0, 50.0, 100.0, 0.5)
    assert found.rest == {"copies": 0.5}, "what is held against its best is no part of the rest"


def test_kinds_of_operators_add_up_to_the_whole() -> None:
    images, weight = torch.rand(4, 3, 16, 16), torch.rand(8, 3, 3, 3)
    found = shares_of(lambda: torch.conv2d(images, weight).relu().sum(), FP32, 3)
    assert {"convolutions", "activations", "pooling"} <= found.keys()
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::mkldnn_convolution", "convolutions"),
        ("aten::convolution_backward", "convolutions"),
        ("aten::native_batch_norm_backward", "BatchNorm"),
        ("aten::threshold_backward", "activations"),
        ("aten::addmm", "matrix products"),
        ("aten::copy_", "copies"),
        ("aten::index_select", "copies"),
        ("aten::_foreach_add_", "optimiser"),
        ("aten::mul", "elementwise"),
    ],
)
def test_an_operator_is_of_a_kind(operator: str, kind: str) -> None:
    assert kind_of(operator) == kind


def test_what_is_told_is_the_share_and_the_most_of_the_rest() -> None:
    rest = {"BatchNorm": 0.3, "copies": 0.2, "elementwise": 0.055, "optimiser": 0.05, "pooling": 0.001}
    text = told(Speed(1.0, 50.0, 100.0, rest))
    assert text == "50% of what is attainable; BatchNorm 30%, copies 20%, elementwise 5.5% of the time"
    assert told(Speed(1.0, 1.0, 100.0, {})) == "1.0% of what is attainable"
    assert percent(0.004) == "0.4%"


@pytest.mark.parametrize(("rate", "text"), [(0.5, "0.5 "), (1234.0, "1.23 k"), (3.25e11, "325 G"), (2e15, "2e+03 T")])
def test_a_rate_has_a_metric_prefix(rate: float, text: str) -> None:
    assert scaled(rate) == text


def test_figures_taken_beside_others_are_warned_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = Speed(1.0, 50.0, 100.0, {})
    for waited, verdict in ((0.5, "warns"), (0.01, "passes"), (None, "passes")):
        monkeypatch.setattr(speed, "share_waited", lambda *_, told=waited: told)
        assert speed._asked(bench, lambda _: piece, "B/s", bench.places).verdict == verdict
