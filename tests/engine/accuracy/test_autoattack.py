import builtins
import random
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, ConfigError
from claf_engine.terms.installation import install_line
from tests.engine.tiny import exhaust, tiny_data
from tests.engine.wavy import (
    BATCH,
    EPSILON,
    NUM_CLASSES,
    RADII,
    Short,
    classes_of,
    direct,
    measure,
    of_attack,
    saved,
    steps,
)

pytestmark = pytest.mark.usefixtures("library_is_short")


@pytest.mark.parametrize("norm", RADII)
@pytest.mark.parametrize("batch_size", [BATCH, 100])
def test_every_example_ends_as_in_a_direct_call_of_the_library(
    model: nn.Module, split: Split, tmp_path: Path, norm: str, batch_size: int
) -> None:
    stands, adversarial = direct(model, split, norm, batch_size)
    accuracy = measure(model, split, tmp_path, norm=norm, batch_size=batch_size)
    assert accuracy.robust[0].accuracy == float(stands.double().mean())
    rows = (classes_of(model, split.images) == split.labels).nonzero()[:, 0]
    moved = (adversarial - to_pixels(split.images)).abs().amax((1, 2, 3))[rows]
    assert [by is None for by in saved(tmp_path)["broken_by"]] == stands[rows].tolist()
    assert [distance or 0.0 for distance in saved(tmp_path)["distances"]] == moved.tolist()


def test_several_of_the_attacks_of_these_tests_break_examples_and_all_leave_some(
    model: nn.Module, split: Split, tmp_path: Path
) -> None:
    assert measure(model, split, tmp_path).natural == 0.9
    assert len(set(saved(tmp_path)["broken_by"])) >= 3
    assert None in saved(tmp_path)["broken_by"]


def test_global_randomness_stays_as_it_was(model: nn.Module, split: Split) -> None:
    numbers = np.random.get_state(legacy=False)["state"]["key"].copy()
    before = torch.get_rng_state(), random.getstate()
    for _ in steps(model, split):
        assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numbers)


class Failing(nn.Module):
    """Fails once gradients are wanted, in the middle of an attack."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            raise ArithmeticError
        logits: Tensor = self.model(images)
        return logits


def test_global_randomness_and_flags_stay_when_an_attack_fails(model: nn.Module, split: Split) -> None:
    failing = Failing(model.train())
    torch.rand(5)  # away from where an earlier failure may have left it
    before = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ArithmeticError):
        measure(failing, split)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(module.training for module in failing.modules())
    assert all(parameter.requires_grad for parameter in failing.parameters())
    assert all(torch.equal(value, before[1][name]) for name, value in model.state_dict().items())


def test_a_model_in_training_mode_is_attacked_in_eval_mode_and_put_back(model: nn.Module, split: Split) -> None:
    expected = measure(model, split)
    model.train()
    modes = []

    def watched() -> Generator[Pulse, None, Accuracy]:
        attack = steps(model, split)
        while True:
            try:
                pulse = next(attack)
            except StopIteration as stop:
                accuracy: Accuracy = stop.value
                return accuracy
            modes.append(model.training)
            yield pulse

    assert exhaust(watched())[1] == expected
    assert all(modes)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_pulses_tell_the_attack_and_its_batches_and_may_be_left(model: nn.Module, split: Split) -> None:
    pulses = of_attack(exhaust(steps(model, split))[0])
    assert [pulse.activity.removeprefix("AutoAttack at 4/255: ") for pulse in pulses if pulse.done == 0] == [
        "apgd-ce",
        "apgd-t",
        "fab-t",
        "square",
    ]
    assert all(pulse.abandonable and pulse.done < pulse.total for pulse in pulses)


def test_a_figure_says_how_it_was_measured(model: nn.Module, split: Split) -> None:
    (figure,) = measure(model, split).robust
    assert (figure.epsilon, figure.attack, figure.steps, figure.step_size) == ("4/255", "autoattack", 100, "adaptive")
    assert (figure.restarts, figure.num_examples, figure.seed, figure.norm) == (1, len(split), 3, "linf")
    assert figure.decides == "own"
    assert (figure.space, figure.precision) == ("pixel", "fp32")


def test_the_distances_are_those_of_the_adversarial_images(model: nn.Module, split: Split) -> None:
    stands, adversarial = direct(model, split)
    moved = (adversarial - to_pixels(split.images)).abs().amax((1, 2, 3))
    moved = moved[~stands & (moved > 0)]
    (figure,) = measure(model, split).robust
    assert figure.largest_distance == pytest.approx(float(moved.max()), abs=1e-6)
    assert figure.mean_distance == pytest.approx(float(moved.mean()), abs=1e-6)


def test_radius_zero_is_natural_accuracy_without_any_attack(model: nn.Module, split: Split) -> None:
    pulses, accuracy = exhaust(steps(model, split, epsilons=(Fraction(0), EPSILON)))
    assert accuracy.robust[0].accuracy == accuracy.natural
    assert not [pulse for pulse in pulses if "at 0/255" in pulse.activity]
    assert accuracy.robust[1] == measure(model, split).robust[0]


class Linear(nn.Module):
    """A linear classifier of few classes."""

    def __init__(self, num_classes: int, scale: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Linear(192, num_classes, device="meta").to_empty(device="cpu")
        nn.init.normal_(self.layer.weight, 0, scale, generator=torch.Generator().manual_seed(1))
        nn.init.constant_(self.layer.bias, 0)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(1) - 0.5)
        return logits


def of_classes(count: int) -> Split:
    return tiny_data(num_train=12, num_classes=count).train


def test_fewer_targets_than_the_standard_s_are_told(model: nn.Module, split: Split) -> None:
    assert "AutoAttack aims at 4 classes instead of 9: there are no more." in measure(model, split).notices


def test_nine_targets_need_no_notice() -> None:
    assert not any("aims at" in notice for notice in measure(Linear(10), of_classes(10)).notices)


@pytest.mark.parametrize(("count", "place"), [(2, "nothing takes its place"), (3, "APGD-DLR runs in its place")])
def test_with_fewer_than_four_classes_what_cannot_run_is_told(count: int, place: str) -> None:
    measured = measure(Linear(count), of_classes(count))
    told = f"AutoAttack ran without APGD-T, whose loss compares 4 classes and here are {count}; {place}."
    assert told in measured.notices
    assert measured.robust[0].accuracy < measured.natural


def test_four_classes_are_enough() -> None:
    assert 0 <= measure(Linear(4), of_classes(4)).robust[0].accuracy <= 1


def test_when_nothing_is_classified_correctly_there_is_nothing_to_attack(model: nn.Module, split: Split) -> None:
    wrong = (classes_of(model, split.images) + 1) % NUM_CLASSES
    accuracy = measure(model, Split(split.images, wrong))
    assert (accuracy.natural, accuracy.robust[0].accuracy, accuracy.robust[0].largest_distance) == (0, 0, 0)


class Stepped(nn.Module):
    """Gradients of zero everywhere: no attack on them gets anywhere, whatever the model is worth."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model((images * 255 / 4).round() * 4 / 255)
        return logits


def test_warnings_of_the_library_reach_the_reader_and_not_the_terminal(
    model: nn.Module, split: Split, capsys: pytest.CaptureFixture[str]
) -> None:
    notices = measure(Stepped(model), split).notices
    assert any("points with zero gradient" in notice for notice in notices)
    assert any("Square Attack, which uses no gradients, broke" in notice for notice in notices)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


class Cheating(Short):
    """A library that leaves the ball."""

    def run_standard_evaluation(self, images: Tensor, labels: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        return (images + 0.1).clamp(0, 1), labels


def test_a_library_that_leaves_the_ball_is_found_out(
    model: nn.Module, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyautoattack.AutoAttack", Cheating)
    with pytest.raises(ClafError, match=r"AutoAttack at 4/255 left the ball: an image lies 0\.1"):
        measure(model, split)


def test_without_the_library_one_sentence_says_how_to_get_it(
    model: nn.Module, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name == "pyautoattack":
            raise ModuleNotFoundError(name=name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError) as caught:
        measure(model, split)
    assert str(caught.value) == f"AutoAttack needs the audit extra: {install_line('audit')}"
