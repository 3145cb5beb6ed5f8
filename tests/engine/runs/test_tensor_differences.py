import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from claf_engine.events.ticks import exhaust
from claf_engine.runs import tensor_differences
from claf_engine.runs.tensor_differences import Squares, TensorDifference, difference_steps
from claf_engine.terms.errors import CheckpointError
from tests.engine.runs.test_header import PROPERTY, write


def compared(folder: Path, before: Any, after: Any) -> TensorDifference:
    """The difference of a tensor w; None leaves it out of a file."""
    paths = [
        write(folder, tensors={"v": np.ones(1), **({} if values is None else {"w": values})}, name=name)
        for name, values in (("a.safetensors", before), ("b.safetensors", after))
    ]
    found = exhaust(difference_steps(*paths))
    return next(item for item in found if item.name == "w")


NUMBERS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6)


@PROPERTY
@given(before=NUMBERS, after=NUMBERS)
def test_norm_and_cosine_are_those_of_numpy(before: list[float], after: list[float], tmp_path: Path) -> None:
    a, b = np.array(before, np.float32), np.array(after, np.float32)
    squares = compared(tmp_path, a, b).squares
    assert squares is not None
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if norms[0]:
        np.testing.assert_allclose(squares.relative_norm, np.linalg.norm(a - b) / norms[0], rtol=1e-9, atol=1e-12)
    if norms[0] * norms[1] > 1e-30:
        np.testing.assert_allclose(squares.cosine, a @ b / (norms[0] * norms[1]), rtol=1e-9, atol=1e-9)


def test_large_tensors_are_compared_in_pieces_of_one_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_differences, "NUMBERS_AT_ONCE", 4)
    found = compared(tmp_path, np.arange(11, dtype=np.float32), np.arange(11, dtype=np.float64) + 1)
    assert found.squares == Squares(385.0, 506.0, 11.0, 440.0)


def test_bf16_is_compared_as_torch_reads_it(tmp_path: Path) -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(0))
    for name, tensor in (("a", values.bfloat16()), ("b", values)):
        save_file({"w": tensor}, tmp_path / f"{name}.safetensors")
    (found,) = exhaust(difference_steps(tmp_path / "a.safetensors", tmp_path / "b.safetensors"))
    expected = float((values.bfloat16().double() - values.double()).norm() / values.bfloat16().double().norm())
    assert found.squares is not None
    assert found.squares.relative_norm == pytest.approx(expected)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (np.ones(2), np.ones(2), "same"),
        (np.ones(2), np.zeros(2), "changed"),
        (np.ones(2), np.ones(3), "reshaped"),
        (None, np.ones(3), "only after"),
        (np.ones(2), None, "only before"),
        (np.ones(2), np.array([1, np.nan]), "not finite"),
        (np.array([np.inf, 1]), np.array([np.inf, 1]), "not finite"),
        (np.array([True]), np.array([False]), "changed"),
        (np.array(3, np.int64), np.array(3, np.int64), "same"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path: Path, before: Any, after: Any, kind: str) -> None:
    found = compared(tmp_path, before, after)
    assert found.kind == kind
    assert (found.squares is not None) == (kind in {"same", "changed"})


def test_a_type_without_numbers_is_not_compared(tmp_path: Path) -> None:
    for name in "ab":
        save_file({"w": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / f"{name}.safetensors")
    (found,) = exhaust(difference_steps(tmp_path / "a.safetensors", tmp_path / "b.safetensors"))
    assert found.kind == "not compared"


def test_a_tensor_that_was_zero_has_moved_without_measure(tmp_path: Path) -> None:
    squares = compared(tmp_path, np.zeros(2), np.ones(2)).squares
    assert squares is not None
    assert squares.relative_norm == math.inf
    assert squares.cosine is None


def test_two_tensors_of_zeros_are_equal() -> None:
    assert Squares().relative_norm == 0.0
    assert Squares().cosine is None


def test_sums_of_parts_are_sums_of_the_whole() -> None:
    assert Squares(1, 2, 3, 4) + Squares(10, 20, 30, 40) == Squares(11, 22, 33, 44)


def test_pulses_count_the_tensors(tmp_path: Path) -> None:
    paths = [write(tmp_path, name=name) for name in ("a.safetensors", "b.safetensors")]
    assert [(pulse.done, pulse.total) for pulse in difference_steps(*paths)] == [(1, 3), (2, 3), (3, 3)]


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    damaged = tmp_path / "b.safetensors"
    damaged.write_bytes(b"half")
    with pytest.raises(CheckpointError):
        exhaust(difference_steps(write(tmp_path), damaged))
