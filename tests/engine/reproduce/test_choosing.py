import json
from collections.abc import Generator
from pathlib import Path

import pytest

from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce import choosing
from claf_engine.reproduce.choosing import candidates_of, chosen_steps, known_choice
from claf_engine.reproduce.measuring import MEASUREMENTS, Subject
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import create_run, list_checkpoints, list_runs, summarise
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.run import run
from tests.engine.reproduce.conftest import Reproduced
from tests.engine.tiny import exhaust, tiny_config

pytestmark = pytest.mark.usefixtures("tiny_scale")
OWN, NATURAL, ADVERSARIAL = TABLES["table1"].rows[5], *TABLES["table4"].rows


@pytest.fixture
def candidates(tmp_path: Path, reproduced: Reproduced) -> tuple[Subject, ...]:
    """The natural classifier of the last state, which the run chose; its adversarial one; the best checkpoint."""
    return candidates_of(list_runs(reproduced.copy(tmp_path))[0].directory, OWN)


@pytest.fixture
def trained(tmp_path: Path, reproduced: Reproduced) -> Path:
    return list_runs(reproduced.copy(tmp_path))[0].directory


def keep(monkeypatch: pytest.MonkeyPatch, *shares: float) -> None:
    """Let the candidates keep these shares of the validation images, in their order."""
    told = iter(shares)

    def share(*_: object) -> Generator[Pulse, None, float]:
        yield Pulse("attacking")
        return next(told)

    monkeypatch.setattr(choosing, "selection_steps", share)


def test_a_row_about_a_classifier_takes_it_from_the_last_state(trained: Path) -> None:
    newest = list_checkpoints(trained)[0].path
    for row, classifier in ((NATURAL, "natural"), (ADVERSARIAL, "adversarial")):
        subject = candidates_of(trained, row)[0]
        assert (subject.checkpoint, subject.classifier) == (newest, classifier)
        assert subject.chosen == f"last: the row is about the {classifier} classifier"


def test_the_precision_of_training_is_told(trained: Path) -> None:
    assert candidates_of(trained, NATURAL)[0].precision == "fp32"


def test_any_other_row_takes_what_the_run_chose_on_validation_images(trained: Path) -> None:
    [chosen] = [result for result in summarise(trained).record["results"] if result["selected"]]
    subject = candidates_of(trained, OWN)[0]
    entry = next(entry for entry in list_checkpoints(trained) if chosen["checkpoint"] in entry.kept_as)
    assert (subject.classifier, subject.checkpoint) == (chosen["classifier"], entry.path)
    assert "validation" in subject.chosen


def test_a_run_whose_status_is_lost_is_measured_at_its_best_checkpoint(trained: Path) -> None:
    (trained / "status.json").unlink()
    entry = next(entry for entry in list_checkpoints(trained) if "best" in entry.kept_as)
    assert candidates_of(trained, OWN)[0].checkpoint == entry.path


def test_a_checkpoint_that_the_run_reported_on_and_lost_is_replaced_by_no_other(trained: Path) -> None:
    last = list_checkpoints(trained)[0].path
    last.write_bytes(last.read_bytes()[:-1])
    for row in (NATURAL, OWN):
        with pytest.raises(CheckpointError, match="the last checkpoint that the run reported on is no longer whole"):
            candidates_of(trained, row)


def test_a_run_without_checkpoints_is_a_sentence(trained: Path) -> None:
    for file in (trained / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(CheckpointError, match="has no checkpoint that can be read"):
        candidates_of(trained, OWN)


def test_one_candidate_alone_is_taken_unmeasured(tmp_path: Path, candidates: tuple[Subject, ...]) -> None:
    pulses, chosen = exhaust(chosen_steps(tmp_path / "root", candidates[:1]))
    assert (pulses, chosen) == ([], candidates[0])
    assert known_choice(tmp_path / "root", candidates[:1]) == candidates[0]


def test_the_candidate_that_keeps_most_validation_images_is_chosen(
    tmp_path: Path, candidates: tuple[Subject, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, 0.25, 0.5, 0.75)
    _, chosen = exhaust(chosen_steps(tmp_path / "root", candidates))
    assert chosen == candidates[2]
    assert chosen.chosen == "best: highest robust accuracy on all validation images"


def test_in_a_tie_the_run_s_own_choice_stands(
    tmp_path: Path, candidates: tuple[Subject, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, 0.5, 0.25, 0.5)
    _, chosen = exhaust(chosen_steps(tmp_path / "root", candidates))
    assert chosen == candidates[0]


def test_where_nothing_is_attacked_the_run_s_own_choice_stands(
    tmp_path: Path, candidates: tuple[Subject, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.accuracy.suite.AttackSuite.first_attacked", None)
    _, chosen = exhaust(chosen_steps(tmp_path / "root", candidates))
    assert chosen == candidates[0]


def test_a_candidate_is_measured_once(
    tmp_path: Path, candidates: tuple[Subject, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, 0.25, 0.75, 0.5)
    assert known_choice(tmp_path / "root", candidates) is None
    _, first = exhaust(chosen_steps(tmp_path / "root", candidates))
    pulses, second = exhaust(chosen_steps(tmp_path / "root", candidates))
    assert (pulses, second, known_choice(tmp_path / "root", candidates)) == ([], first, first)


@pytest.mark.parametrize("text", ["{", '{"survivors": 17, "num_examples": 16}', '{"survivors": -1, "num_examples": 1}'])
def test_a_damaged_record_is_made_again(
    tmp_path: Path, candidates: tuple[Subject, ...], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    keep(monkeypatch, 0.25, 0.75, 0.5, 1.0)
    exhaust(chosen_steps(tmp_path / "root", candidates))
    changed = sorted((tmp_path / "root" / MEASUREMENTS).iterdir())[0]
    before = changed.read_text(encoding="utf-8")
    changed.write_text(text, encoding="utf-8")
    assert known_choice(tmp_path / "root", candidates) is None
    pulses, _ = exhaust(chosen_steps(tmp_path / "root", candidates))
    assert pulses
    assert changed.read_text(encoding="utf-8") != before


def test_what_is_kept_of_all_validation_images_is_what_a_probe_of_all_of_them_said(tmp_path: Path) -> None:
    config = tiny_config(method="at", supervised__epochs=8, probe__num_examples=16, probe__epsilons=["2/255"])
    directory = create_run(tmp_path, "at", config, [])
    for _ in run(directory, Control()):
        pass
    directory.close()
    best = next(entry for entry in list_checkpoints(directory.path) if "best" in entry.kept_as)
    assert best.info is not None
    assert best.info.chosen_by is not None
    subject = Subject(best.path, best.info.classifier, best.info.weights_sha256, "best")
    exhaust(chosen_steps(tmp_path / "root", (subject, subject)))
    [kept] = [json.loads(file.read_text()) for file in (tmp_path / "root" / MEASUREMENTS).iterdir()]
    assert kept == {"survivors": round(16 * best.info.chosen_by), "num_examples": 16}
    assert 0.25 < best.info.chosen_by < 1, "no network that answers one class"


def test_the_runs_own_choice_comes_first_and_each_of_its_results_is_a_candidate(
    candidates: tuple[Subject, ...],
) -> None:
    results = summarise(candidates[0].checkpoint.parent.parent).record["results"]
    told = [(result["checkpoint"], result["classifier"]) for result in results]
    assert sorted((each.chosen.partition(":")[0], each.classifier) for each in candidates) == sorted(told)
    [chosen] = [result for result in results if result["selected"]]
    assert (chosen["checkpoint"], chosen["classifier"]) == ("last", candidates[0].classifier)
