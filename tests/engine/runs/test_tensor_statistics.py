import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.runs.tensor_statistics import TensorStatistics, tensor_statistics
from claf_engine.terms.errors import CheckpointError
from tests.engine.runs.test_header import PROPERTY, write


def statistics(folder: Path, values: Any) -> TensorStatistics:
    return tensor_statistics(write(folder, tensors={"w": values}), "w")


FINITE = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30)


@PROPERTY
@given(numbers=FINITE)
def test_moments_are_those_of_numpy(numbers: list[float], tmp_path: Path) -> None:
    found, values = statistics(tmp_path, np.array(numbers, np.float32)), np.array(numbers)
    ours = [found.minimum, found.maximum, found.mean, found.std]
    np.testing.assert_allclose(ours, [values.min(), values.max(), values.mean(), values.std()], rtol=1e-9, atol=1e-9)


@PROPERTY
@given(numbers=FINITE)
def test_quantiles_are_those_of_numpy(numbers: list[float], tmp_path: Path) -> None:
    found = statistics(tmp_path, np.array(numbers, np.float32)).quantiles
    expected = {f"{percent}%": np.percentile(numbers, percent) for percent in (1, 25, 50, 75, 99)}
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-9, atol=1e-9)


@PROPERTY
@given(numbers=FINITE)
def test_the_histogram_counts_every_finite_number(numbers: list[float], tmp_path: Path) -> None:
    values = np.array([*numbers, np.nan, np.inf], np.float32)
    assert sum(statistics(tmp_path, values).histogram) == len(numbers)


def test_the_histogram_runs_from_the_minimum_to_the_maximum_in_equal_bins(tmp_path: Path) -> None:
    path = write(tmp_path, tensors={"w": np.array([0, 1, 1, 2, 9, 10], np.float32)})
    assert tensor_statistics(path, "w", bins=5).histogram == (3, 1, 0, 0, 2)


def test_zeros_are_counted_as_a_share(tmp_path: Path) -> None:
    assert statistics(tmp_path, np.array([0, 1, 0, -0.0], np.float32)).zero_fraction == 0.75


def test_numbers_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    found = statistics(tmp_path, np.array([1, np.nan, np.inf, -np.inf, 3], np.float32))
    assert (found.num_values, found.num_nonfinite) == (5, 3)


def test_numbers_that_are_not_finite_are_left_out_of_the_summary(tmp_path: Path) -> None:
    found = statistics(tmp_path, np.array([1, np.nan, np.inf, -np.inf, 3], np.float32))
    assert (found.minimum, found.maximum, found.mean, found.quantiles["50%"]) == (1, 3, 2, 2)


def test_a_tensor_without_any_finite_number_has_an_empty_histogram(tmp_path: Path) -> None:
    found = statistics(tmp_path, np.array([np.nan, np.inf], np.float32))
    assert (found.num_nonfinite, sum(found.histogram)) == (2, 0)


def test_an_empty_tensor_has_statistics(tmp_path: Path) -> None:
    found = statistics(tmp_path, np.zeros((0, 3), np.float32))
    assert (found.num_values, found.num_nonfinite, found.zero_fraction) == (0, 0, 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_])
def test_tensors_of_any_plain_type_have_statistics(dtype: type[np.generic], tmp_path: Path) -> None:
    found = statistics(tmp_path, np.array([[0, 1], [1, 1]], dtype))
    assert (found.num_values, found.mean) == (4, 0.75)


@pytest.mark.parametrize("name", ["", "nobody", "network", "network.weight "])
def test_statistics_of_a_tensor_that_is_not_there_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read tensor"):
        tensor_statistics(write(tmp_path), name)


def foreign(folder: Path, dtype: str, num_bytes: int) -> Path:
    """A tensor of four numbers of a type that numpy does not know."""
    header = json.dumps({"w": {"dtype": dtype, "shape": [4], "data_offsets": [0, num_bytes]}}).encode()
    path = folder / "foreign.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * num_bytes)
    return path


def test_statistics_of_a_bf16_tensor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read tensor 'w'"):
        tensor_statistics(foreign(tmp_path, "BF16", 8), "w")


def test_statistics_of_an_8_bit_float_tensor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read tensor 'w'"):
        tensor_statistics(foreign(tmp_path, "F8_E4M3", 4), "w")


def test_neighbouring_large_numbers_have_statistics(tmp_path: Path) -> None:
    assert statistics(tmp_path, np.array([2**53, 2**53 + 2], np.int64)).num_values == 2


def test_statistics_of_a_pickle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04}\x94.")
    with pytest.raises(CheckpointError, match="is a pickle"):
        tensor_statistics(path, "w")


def test_statistics_of_a_truncated_file_are_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = write(tmp_path).read_bytes()
    path = tmp_path / "truncated.safetensors"
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            tensor_statistics(path, "network.weight")
