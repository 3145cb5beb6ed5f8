from claf_engine.runs.header import TensorInfo
from claf_engine.runs.tensor_statistics import TensorStatistics
from claf_tui.widgets.tensor_view import histogram_rows, statistics_lines


def test_a_histogram_fills_its_height_and_hides_no_count() -> None:
    assert histogram_rows([1, 0, 800, 400], 4, 2) == ["  █ ", "▁ ██"]


def test_statistics_fit_and_name_what_is_not_finite() -> None:
    statistics = TensorStatistics(8, 3, -1.0, 1.0, 0.0, 0.5, 0.25, {"1%": -1.0, "50%": 0.0}, (1, 2, 3))
    lines = statistics_lines(TensorInfo("w", (8,), "F32"), statistics, 38, 12)
    assert len(lines) <= 12
    assert all(line.cell_length <= 38 for line in lines)
    assert any("3 not finite" in line.plain for line in lines)
