from pathlib import Path

import pytest

from claf_engine.reproduce.choosing import candidates_of, chosen_steps
from claf_engine.reproduce.forecast import Rates, forecast
from claf_engine.reproduce.plan import REPRODUCTIONS
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import RunDirectory, list_runs, read_config
from tests.engine.reproduce.conftest import Reproduced, request_of
from tests.engine.tiny import exhaust

pytestmark = pytest.mark.usefixtures("tiny_scale", "_one_millisecond")


@pytest.fixture
def _one_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pass of one image take a millisecond."""
    monkeypatch.setattr("claf_engine.reproduce.forecast.measure_rates", lambda _: Rates(1e-3, 1e-3, 1e-3))


def test_a_missing_run_is_new_and_the_row_that_shares_it_costs_its_measurement(tmp_path: Path) -> None:
    first, second = forecast(request_of(tmp_path))
    assert (first.action, second.action, first.run, first.row, second.row) == (
        "new",
        "shared",
        "tiny-claf-seed0",
        0,
        1,
    )
    assert first.seconds > second.seconds == pytest.approx(16 * 168e-3)


def test_nothing_is_written(tmp_path: Path) -> None:
    forecast(request_of(tmp_path / "runs"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_trained_and_measured_takes_no_time(reproduced: Reproduced) -> None:
    items = forecast(request_of(reproduced.root))
    assert [(item.action, item.seconds) for item in items] == [("reuse", 0.0), ("reuse", 0.0)]
    assert items[0].run == list_runs(reproduced.root)[0].name


def test_a_finished_run_that_another_table_attacks_takes_the_time_of_the_attacks_that_are_new(
    reproduced: Reproduced,
) -> None:
    [item] = forecast(request_of(reproduced.root, "table3"))
    choice = 3 * 16 * (2 + 2 * 2 + 2 * 20)
    assert (item.action, item.seconds) == ("reuse", pytest.approx((16 * (82 + 202) + choice) * 1e-3))


def test_once_the_choice_is_made_it_takes_no_time(tmp_path: Path, reproduced: Reproduced) -> None:
    root = reproduced.copy(tmp_path)
    [item] = forecast(request_of(root, "table3"))
    exhaust(chosen_steps(root / REPRODUCTIONS, candidates_of(list_runs(root)[0].directory, TABLES["table3"].rows[0])))
    [again] = forecast(request_of(root, "table3"))
    assert item.seconds > again.seconds == pytest.approx(16 * (82 + 202) * 1e-3)


def test_a_run_that_was_cut_takes_the_rest_of_its_time(tmp_path: Path, reproduced: Reproduced) -> None:
    [whole, _] = forecast(request_of(tmp_path / "empty"))
    root = reproduced.copy(tmp_path / "runs")
    path = list_runs(root)[0].directory
    directory = RunDirectory(path, read_config(path))
    directory.write_status({"status": "stopped", "run_fraction": 0.75})
    directory.close()
    [cut, _] = forecast(request_of(root))
    assert cut.action == "resume"
    assert cut.seconds - 16 * 168e-3 == pytest.approx((whole.seconds - 16 * 168e-3) / 4)


def test_every_seed_is_a_run(tmp_path: Path) -> None:
    assert [item.seed for item in forecast(request_of(tmp_path, seeds=2))] == [0, 1, 0, 1]
