from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs.journal import EVENTS, METRICS, Journal
from claf_engine.terms.errors import ForeignFileError
from claf_tui.state import LossKey
from claf_tui.state.other_run import read_other_run, short_name
from tests.tui.scripted_methods import played


def test_another_run_is_folded_from_its_folder(tmp_path: Path) -> None:
    directory = tmp_path / "20261124-080000-wide"
    directory.mkdir()
    journal = Journal(directory)
    journal.open()
    for event in played(directory, "claf"):
        journal.append(event)
    journal.close()
    other = read_other_run(directory)
    assert other.name == "wide"
    assert other.state.losses[LossKey("supcon", 0)].latest == pytest.approx(3 / 20)
    assert [key.classifier for key in other.state.probes if not key.radius] == [
        "quick fit",
        "attack",
        "natural",
        "adversarial",
    ]


def test_a_run_without_a_journal_has_no_curves(tmp_path: Path) -> None:
    assert not read_other_run(tmp_path).state.losses


@pytest.mark.parametrize("name", [METRICS, EVENTS])
def test_a_journal_that_is_no_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ForeignFileError, match=name):
        read_other_run(tmp_path)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("20261124-080000-wide", "wide"), ("wide", "wide"), ("20261124-080000-a-b", "a-b"), ("a-b-c", "a-b-c")],
)
def test_the_date_of_a_folder_is_left_out_of_a_legend(folder: str, name: str) -> None:
    assert short_name(folder) == name


def test_a_long_journal_is_thinned_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    for number in range(1, 20_000):
        journal.append(ev.StepLogged(number, 0, 1, "encoder", "supcon", 1.0, 0.1, None, 1.0 * number))
    journal.close()
    series = read_other_run(tmp_path).state.losses[LossKey("supcon", 0)]
    assert sum(point.num_values for point in series.points) < 10_000
    assert series.points[-1].x == 19_999
