import dataclasses
import json
from pathlib import Path

import pytest

from claf_engine.evaluation.cards import find_card, standing
from claf_engine.reproduce.choosing import candidates_of
from claf_engine.reproduce.measuring import Measurement, Measurer, keep_cards
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import list_runs
from claf_engine.terms.errors import RunError
from tests.engine.reproduce.conftest import Reproduced
from tests.engine.tiny import exhaust

pytestmark = pytest.mark.usefixtures("tiny_scale")
TABLE = TABLES["table4"]
COMMAND = ("/x/claf-tui", "reproduce", "table4")


@pytest.fixture
def run(tmp_path: Path, reproduced: Reproduced) -> Path:
    return list_runs(reproduced.copy(tmp_path))[0].directory


@pytest.fixture
def measurements(run: Path, tmp_path: Path) -> list[Measurement]:
    measurer, subject = Measurer(tmp_path), candidates_of(run, TABLE.rows[0])[0]
    return [exhaust(measurer.measure_steps(subject, column))[1] for column in TABLE.columns]


def test_a_reproduced_table_leaves_a_card_of_every_classifier_that_it_measured(reproduced: Reproduced) -> None:
    run = list_runs(reproduced.root)[0].directory
    for row in TABLE.rows:
        subject = candidates_of(run, row)[0]
        card = find_card(run, subject.weights_sha256, subject.classifier)
        assert card is not None
        assert (card["kind"], card["diagnostics"], standing(card)) == ("evaluation", [], "evaluated")
        assert [item["epsilon"] for item in card["attacks"]] == ["8/255", "16/255"] * 2


def test_the_card_tells_what_was_measured_and_with_what(run: Path, measurements: list[Measurement]) -> None:
    [folder] = keep_cards(run, measurements, COMMAND)
    card = json.loads((folder / "card.json").read_bytes())
    first = measurements[0]
    assert card["natural"]["accuracy"] == first.natural
    assert card["worst_case"]["accuracy"] == first.robust.accuracy
    assert (card["versions"], card["device"], card["data"]) == (first.versions, first.device, first.data)
    assert (card["command"], card["method"]) == ("claf-tui reproduce table4", "claf")


def test_a_card_that_cannot_be_written_is_a_sentence_with_the_fix(run: Path, measurements: list[Measurement]) -> None:
    for path in sorted((run / "audit").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (run / "audit").rmdir()
    (run / "audit").write_text("")
    with pytest.raises(RunError, match=r"cannot write the card of .*; make room and reproduce again"):
        keep_cards(run, measurements, COMMAND)


def test_figures_of_other_images_and_spaces_have_cards_of_their_own(run: Path, tmp_path: Path) -> None:
    measurer, subject = Measurer(tmp_path), candidates_of(run, TABLE.rows[0])[0]
    own = dataclasses.replace(TABLE.columns[0], space="released-code")
    columns = (own, TABLE.columns[1], dataclasses.replace(TABLE.columns[0], num_examples=5))
    found = [exhaust(measurer.measure_steps(subject, column))[1] for column in columns]
    cards = [json.loads((folder / "card.json").read_bytes()) for folder in keep_cards(run, found, COMMAND)]
    assert sorted((card["space"], card["num_examples"]) for card in cards) == [
        ("pixel", 5),
        ("pixel", 16),
        ("released-code", 16),
    ]
    assert cards[-1]["space"] == "released-code"
