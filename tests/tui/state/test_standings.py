from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.evaluation.cards import write_card
from claf_engine.runs.header import read_info
from claf_tui.state.standings import card_of, cards_changed, standing_of, standing_of_results
from tests.tui.scripted import robust_figure, write_checkpoint
from tests.tui.scripted_audit import card

RESULT = ev.TestResult("best", "attack", 0.93, (robust_figure("8/255", 0.6),), True)
FINISHED = ev.RunFinished("finished", 300, 10.0, (RESULT,), "validation robust accuracy")


@pytest.mark.parametrize("verdict", ["passes", "warns", "fails"])
def test_a_checkpoint_stands_as_its_audit_ended(tmp_path: Path, verdict: str) -> None:
    info = read_info(write_checkpoint(tmp_path, 300))
    assert standing_of(info) == "unaudited"
    write_card(card(verdict=verdict), tmp_path / "audit" / "step")
    assert standing_of(info) == f"audit {verdict}"


def test_a_card_of_another_space_says_nothing_about_a_figure(tmp_path: Path) -> None:
    info = read_info(write_checkpoint(tmp_path, 300, extra={"claf.config": {"probe": {"space": "released-code"}}}))
    write_card(card(), tmp_path / "audit" / "step")
    assert standing_of(info) == "unaudited"


def test_a_card_of_another_classifier_opens_where_the_first_has_none(tmp_path: Path) -> None:
    info = read_info(write_checkpoint(tmp_path, 300))
    write_card(card(classifier="natural"), tmp_path / "audit" / "step")
    assert standing_of(info) == "unaudited"
    assert (card_of(info, ("attack", "natural")) or {})["classifier"] == "natural"


def test_results_without_a_card_are_unaudited(tmp_path: Path) -> None:
    assert standing_of_results(str(tmp_path), FINISHED) == "unaudited"
    assert standing_of_results(str(tmp_path), replace(FINISHED, results=())) == ""


def test_a_new_card_is_noticed(tmp_path: Path) -> None:
    assert cards_changed(str(tmp_path)) == 0
    write_card(card(), tmp_path / "audit" / "step")
    assert cards_changed(str(tmp_path)) > 0
