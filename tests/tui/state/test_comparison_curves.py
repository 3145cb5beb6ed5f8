from pathlib import Path

import numpy as np
import pytest

from claf_tui.state.comparison_curves import curves_of, end_of, placed_series, places_of, probe_series
from tests.tui.compared import compared_folder, read_folder

STEPS = np.array([5.0, 10.0, 20.0])


@pytest.mark.parametrize(
    ("axis", "places"), [("step", [5, 10, 20]), ("epoch", [1, 2, 4]), ("clock", [5, 10, 20]), ("units", [23, 46, 92])]
)
def test_steps_lie_where_the_axis_counts_them(tmp_path: Path, axis: str, places: list[float]) -> None:
    run = read_folder("A", compared_folder(tmp_path, "a", method="at"), (23.0,))
    found = places_of(run, axis, STEPS)  # type: ignore[arg-type]
    assert found is not None
    assert found.tolist() == pytest.approx(places)


def test_phases_of_other_costs_have_other_slopes(tmp_path: Path) -> None:
    run = read_folder("A", compared_folder(tmp_path, "a", method="rocl"), (10.0, 1.0))
    assert end_of(run, "units") == pytest.approx(4 * 10 + 4 * 1)


def test_where_the_cost_of_an_epoch_is_not_known_there_is_no_such_axis(tmp_path: Path) -> None:
    run = read_folder("A", compared_folder(tmp_path, "a", method="at"))
    assert places_of(run, "units", STEPS) is None
    assert placed_series(run, probe_series(run.state, ""), "units") == []


def test_all_curves_are_told_with_every_axis_of_each_point(tmp_path: Path) -> None:
    run = read_folder("A", compared_folder(tmp_path, "a", method="at"), (23.0,))
    named = {curve.name: list(curve.points()) for curve in curves_of(run)}
    assert set(named) == {
        "natural",
        "robust 8/255",
        "robust 16/255",
        "cross_entropy loss, phase 1",
        "learning rate, phase 1",
    }
    assert named["natural"][-1]["units"] == pytest.approx(92)
