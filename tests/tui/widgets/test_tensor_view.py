import pytest

from claf_engine.runs.header import TensorInfo
from claf_engine.runs.tensor_statistics import TensorStatistics
from claf_tui.widgets.tensor_view import histogram_rows, module_lines, statistics_lines
from tests.tui.hostile import EVERYTHING


def test_a_histogram_fills_its_height_and_hides_no_count() -> None:
    assert histogram_rows([1, 0, 800, 400], 4, 2) == ["  █ ", "▁ ██"]


def test_statistics_fit_and_name_what_is_not_finite() -> None:
    statistics = TensorStatistics(8, 3, -1.0, 1.0, 0.0, 0.5, 0.25, {"1%": -1.0, "50%": 0.0}, (1, 2, 3))
    lines = statistics_lines(TensorInfo("w", (8,), "F32"), statistics, 38, 12)
    assert len(lines) <= 12
    assert all(line.cell_length <= 38 for line in lines)
    assert any("3 not finite" in line.plain for line in lines)


def test_a_module_shows_totals_and_its_largest_tensors_without_its_own_name() -> None:
    tensors = [TensorInfo("net.small", (1,), "I64"), TensorInfo("net.large.weight", (10, 10), "F32")]
    lines = [line.plain for line in module_lines("net", tensors, 40, 10)]
    assert lines[0] == "net"
    assert "2 tensors" in lines[1]
    assert any("408 B" in line for line in lines)
    assert lines[-2].split() == ["large.weight", "400", "B", "98.0%"]
    assert lines[-1].split() == ["small", "8", "B", "2.0%"]


@pytest.mark.parametrize(("width", "height"), [(28, 6), (10, 3), (100, 40)])
def test_a_module_fits_its_place(width: int, height: int) -> None:
    tensors = [TensorInfo(f"{EVERYTHING}.{index}", (index, 3), EVERYTHING) for index in range(100)]
    lines = module_lines(EVERYTHING, tensors, width, height)
    assert len(lines) <= height
    assert all(line.plain.isprintable() for line in lines)
