from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from torch import Tensor, nn

from claf_engine.accuracy.defences import (
    STRENGTHS,
    Defence,
    Defended,
    defended_steps,
    labelled,
    parse_defence,
    reduce_bits,
    smooth,
)
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.data import to_pixels
from claf_engine.models.network import NATURAL
from claf_engine.terms.errors import ConfigError
from tests.engine.tiny import FP32, exhaust, tiny_data, tiny_session
from tests.properties import examples

DEFENCES = [Defence("bit-depth", bits) for bits in range(1, 8)] + [Defence("median", side) for side in range(2, 6)]
SPLIT = tiny_data(num_other=24).test
SUITE = AttackSuite((Fraction(0), Fraction(8, 255), Fraction(32, 255)), steps=3, step_size=None)

every_defence = pytest.mark.parametrize("defence", DEFENCES, ids=str)
images_of_any_size = st.builds(
    lambda seed, height, width: torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed)),
    st.integers(0, 2**31),
    st.integers(2, 9),
    st.integers(2, 9),
)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A tiny classifier after a few steps of natural training."""
    network = tiny_session().state.network
    model = network.with_classifier(NATURAL)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    images = to_pixels(SPLIT.images)
    model.train()
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(images), SPLIT.labels).backward()
        optimizer.step()
    return model.eval()


@every_defence
@examples(15)
@given(images=images_of_any_size)
def test_squeezed_images_are_images_of_the_same_shape(defence: Defence, images: Tensor) -> None:
    squeezed = defence.squeeze(images)
    assert squeezed.shape == images.shape
    assert squeezed.min() >= 0
    assert squeezed.max() <= 1


@pytest.mark.parametrize("bits", range(1, 8))
@examples(15)
@given(images=images_of_any_size)
def test_bit_depth_reduction_gives_the_nearest_of_its_levels(bits: int, images: Tensor) -> None:
    levels = torch.arange(2**bits) / (2**bits - 1)
    squeezed = reduce_bits(images, bits)
    assert torch.isin(squeezed, levels).all()
    nearest = (images[..., None] - levels).abs().amin(-1)
    assert torch.allclose((images - squeezed).abs(), nearest, atol=1e-6)


@pytest.mark.parametrize("bits", range(1, 8))
@examples(15)
@given(images=images_of_any_size)
def test_bit_depth_reduction_leaves_what_is_reduced_already(bits: int, images: Tensor) -> None:
    once = reduce_bits(images, bits)
    assert torch.equal(reduce_bits(once, bits), once)


def test_one_bit_is_black_or_white() -> None:
    assert reduce_bits(torch.tensor([0.0, 0.49, 0.51, 1.0]), 1).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("side", range(2, 6))
@examples(25)
@given(images=images_of_any_size)
def test_median_smoothing_is_that_of_scipy(side: int, images: Tensor) -> None:
    expected = median_filter(images.numpy(), size=(1, 1, side, side), mode="reflect")
    assert np.array_equal(smooth(images, side).numpy(), expected)


@pytest.mark.parametrize("side", range(2, 6))
def test_median_smoothing_leaves_an_image_of_one_colour(side: int) -> None:
    image = torch.full((1, 3, 6, 6), 0.3)
    assert torch.equal(smooth(image, side), image)


def test_median_smoothing_does_not_mix_channels_or_images() -> None:
    images = torch.stack([torch.full((3, 5, 5), 0.1), torch.full((3, 5, 5), 0.9)])
    images[0, 1] = 0.5
    assert torch.equal(smooth(images, 3), images)


@every_defence
def test_the_gradient_passes_straight_through(defence: Defence) -> None:
    images = torch.rand(2, 3, 6, 6, requires_grad=True)
    weights = torch.randn(2, 3, 6, 6)
    (Defended(nn.Identity(), defence)(images) * weights).sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad, weights)


@every_defence
def test_a_defended_classifier_sees_exactly_the_squeezed_image(defence: Defence, model: nn.Module) -> None:
    images = to_pixels(SPLIT.images)
    with torch.no_grad():
        assert torch.equal(Defended(model, defence)(images), model(defence.squeeze(images)))


def test_a_defended_classifier_names_its_defence_because_its_weights_do_not(model: nn.Module) -> None:
    one, other = Defended(model, Defence("median", 2)), Defended(model, Defence("median", 3))
    assert "median:2" in repr(one)
    assert repr(one) != repr(other)


@every_defence
def test_a_defence_is_read_as_it_is_written(defence: Defence) -> None:
    assert parse_defence(str(defence)) == defence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("blur:2", "unknown defence 'blur:2'; use bit-depth:N .N from 1 to 7. or median:N .N from 2 to 5."),
        ("", "unknown defence ''"),
        ("median", "unknown defence 'median'"),
        ("median:two", "unknown defence 'median:two'"),
        ("median:2.5", "unknown defence"),
        (" median:2", "unknown defence"),
        ("median:1", "median of 1 is out of range; use median:2 to median:5"),
        ("median:6", "median of 6 is out of range"),
        ("bit-depth:0", "bit-depth of 0 is out of range; use bit-depth:1 to bit-depth:7"),
        ("bit-depth:8", "bit-depth of 8 is out of range"),
        ("bit-depth:-1", "unknown defence"),
        ("bit-depth:٤", "unknown defence"),
        (f"bit-depth:{'9' * 5000}", "unknown defence"),
    ],
)
def test_a_defence_that_does_not_exist_is_refused_with_those_that_do(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        parse_defence(text)


def test_the_strengths_of_the_sentence_are_those_that_exist() -> None:
    assert {kind: (allowed[0], allowed[-1]) for kind, allowed in STRENGTHS.items()} == {
        "bit-depth": (1, 7),
        "median": (2, 5),
    }


@pytest.mark.parametrize("defence", [Defence("bit-depth", 2), Defence("median", 3)], ids=str)
def test_both_attackers_are_measured_each_by_its_own_gradient(model: nn.Module, defence: Defence) -> None:
    _, measured = exhaust(defended_steps(model, defence, SPLIT, SUITE, FP32))
    defended = Defended(model, defence)
    targets = {"oblivious": model, "adaptive": defended}
    for knowledge, target in targets.items():
        _, expected = exhaust(accuracy_steps(defended, SPLIT, SUITE, FP32, gradient_source=target))
        figures = tuple(item for item in measured.robust if item.knowledge == knowledge)
        assert figures == labelled(expected, defence, knowledge).robust
        assert measured.natural == expected.natural


def test_the_figures_of_both_attackers_stand_as_measured(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the adaptive one did worse: no figure is derived from the other."""
    seen: list[nn.Module] = []

    def fake(*arguments: object) -> object:
        target = arguments[-1]
        assert isinstance(target, nn.Module)
        seen.append(target)
        _, measured = exhaust(accuracy_steps(model, SPLIT, AttackSuite((Fraction(len(seen), 255),), 0), FP32))
        yield from ()
        return measured

    monkeypatch.setattr("claf_engine.accuracy.defences.accuracy_steps", fake)
    _, measured = exhaust(defended_steps(model, Defence("median", 2), SPLIT, SUITE, FP32))
    assert [(item.knowledge, item.epsilon) for item in measured.robust] == [
        ("oblivious", "1/255"),
        ("adaptive", "2/255"),
    ]
    assert [isinstance(target, Defended) for target in seen] == [False, True]


def test_behind_a_defence_a_radius_of_zero_gives_natural_accuracy(model: nn.Module) -> None:
    _, measured = exhaust(defended_steps(model, Defence("bit-depth", 3), SPLIT, SUITE, FP32))
    assert [item.accuracy for item in measured.robust[:2]] == [measured.natural] * 2


def test_natural_accuracy_is_with_the_defence(model: nn.Module) -> None:
    defence = Defence("bit-depth", 1)
    _, measured = exhaust(defended_steps(model, defence, SPLIT, AttackSuite(()), FP32))
    with torch.no_grad():
        predicted = model(defence.squeeze(to_pixels(SPLIT.images))).argmax(1)
    assert measured.natural == int((predicted == SPLIT.labels).sum()) / len(SPLIT)


def test_the_adaptive_attack_breaks_what_the_missing_gradient_seemed_to_protect(model: nn.Module) -> None:
    """Rounding to one bit has no gradient, so only an attacker who knows of it finds the way across a level."""
    defence, suite = Defence("bit-depth", 1), AttackSuite((Fraction(64, 255),), 20, Fraction(16, 255))
    _, measured = exhaust(defended_steps(model, defence, SPLIT, suite, FP32))
    oblivious, adaptive = measured.robust
    assert adaptive.accuracy <= oblivious.accuracy < 1


def test_pulses_name_the_attacker(model: nn.Module) -> None:
    pulses, _ = exhaust(defended_steps(model, Defence("median", 2), SPLIT, SUITE, FP32))
    activities = list(dict.fromkeys(pulse.activity for pulse in pulses))
    assert activities[0] == "natural accuracy, oblivious"
    assert "PGD-3 at 8/255, adaptive" in activities
    assert all(pulse.abandonable for pulse in pulses)
