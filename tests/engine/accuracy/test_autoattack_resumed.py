from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from claf_engine.data import Split
from tests.engine.tiny import exhaust
from tests.engine.wavy import measure, of_attack, saved, steps, stop_after

pytestmark = pytest.mark.usefixtures("library_is_short")


@pytest.mark.parametrize("pieces", [1, 3, 5])
def test_an_evaluation_that_was_left_and_gone_on_with_gives_the_same(
    model: nn.Module, split: Split, tmp_path: Path, pieces: int
) -> None:
    pulses, whole = exhaust(steps(model, split, tmp_path / "whole"))
    stop_after(steps(model, split, tmp_path / "left"), pieces)
    again, accuracy = exhaust(steps(model, split, tmp_path / "left"))
    assert accuracy.robust == whole.robust
    states = saved(tmp_path / "whole"), saved(tmp_path / "left")
    assert all(states[0][name] == states[1][name] for name in ("broken_by", "distances", "batches_done"))
    assert len(of_attack(again)) == len(of_attack(pulses)) - pieces
    assert [notice for notice in accuracy.notices if "went on from what" in notice]


def test_a_finished_evaluation_is_not_repeated(model: nn.Module, split: Split, tmp_path: Path) -> None:
    first = measure(model, split, tmp_path)
    pulses, again = exhaust(steps(model, split, tmp_path))
    assert {pulse.activity for pulse in pulses} == {"natural accuracy"}
    assert again.robust == first.robust


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"norm": "l2"},
        {"batch_size": 8},
        {"epsilons": (Fraction(7, 255),)},
    ],
    ids=str,
)
def test_a_state_of_another_attack_is_ignored(
    model: nn.Module, split: Split, tmp_path: Path, change: dict[str, Any]
) -> None:
    measure(model, split, tmp_path)
    assert measure(model, split, tmp_path, **change) == measure(model, split, **change)


def test_a_state_of_other_points_is_ignored(model: nn.Module, split: Split, tmp_path: Path) -> None:
    measure(model, split, tmp_path)
    fewer = Split(split.images[:15], split.labels[:15])
    assert measure(model, fewer, tmp_path) == measure(model, fewer)


class Shifted(nn.Module):
    """Another function with the same weights, as a defence is."""

    def __init__(self, model: nn.Module, shift: float) -> None:
        super().__init__()
        self.model, self.shift = model, shift

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model((images + self.shift).clamp(0, 1))
        return logits


def test_a_state_of_another_model_with_the_same_weights_is_ignored(
    model: nn.Module, split: Split, tmp_path: Path
) -> None:
    measure(Shifted(model, 0.0), split, tmp_path)
    assert measure(Shifted(model, 0.1), split, tmp_path) == measure(Shifted(model, 0.1), split)


@pytest.mark.parametrize("damage", [lambda text: text[:50], lambda text: text.replace('"apgd-ce"', '"none"')])
def test_a_damaged_state_is_told_and_redone(model: nn.Module, split: Split, tmp_path: Path, damage: Any) -> None:
    whole = measure(model, split, tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(damage(file.read_text()))
    again = measure(model, split, tmp_path)
    assert again.robust == whole.robust
    assert [notice for notice in again.notices if "began anew" in notice and "is damaged" in notice]


def test_a_state_that_cannot_be_written_is_told_and_the_figure_is_the_same(
    model: nn.Module, split: Split, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    accuracy = measure(model, split, tmp_path / "file" / "state")
    assert accuracy.robust == measure(model, split).robust
    assert [notice for notice in accuracy.notices if "cannot be gone on with later: cannot write" in notice]
