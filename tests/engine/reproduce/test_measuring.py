import dataclasses
from collections.abc import Generator
from pathlib import Path

import pytest

from claf_engine.data import Dataset, Split
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.choosing import candidates_of
from claf_engine.reproduce.measuring import Measurement, Measurer, Subject
from claf_engine.reproduce.plan import config_of
from claf_engine.reproduce.rows import Column
from claf_engine.reproduce.stored import packed
from claf_engine.reproduce.tables import MORE_STEPS, TABLES, TWO_RADII
from claf_engine.runs import list_runs
from claf_engine.terms.errors import DataError
from claf_engine.terms.names import SpaceName
from tests.engine.reproduce.conftest import Reproduced, request_of
from tests.engine.tiny import exhaust, tiny_data

pytestmark = pytest.mark.usefixtures("tiny_scale")
OWN, NATURAL, ADVERSARIAL = TABLES["table1"].rows[5], *TABLES["table4"].rows


@pytest.fixture
def trained(tmp_path: Path, reproduced: Reproduced) -> Path:
    return list_runs(reproduced.copy(tmp_path))[0].directory


def measure(root: Path, subject: Subject, column: Column, space: SpaceName = "pixel") -> tuple[int, Measurement]:
    pulses, found = exhaust(Measurer(root).measure_steps(subject, dataclasses.replace(column, space=space)))
    return len(pulses), found


def test_a_measurement_is_made_once(tmp_path: Path, trained: Path) -> None:
    subject = candidates_of(trained, OWN)[0]
    pulses, first = measure(tmp_path, subject, TWO_RADII[0])
    again, second = measure(tmp_path, subject, TWO_RADII[0])
    assert pulses > again == 0
    assert first == second


def test_it_agrees_with_an_evaluation_of_the_same_checkpoint(tmp_path: Path, trained: Path) -> None:
    from claf_engine.evaluation.evaluate import evaluate
    from claf_engine.evaluation.request import EvaluationRequest

    subject = candidates_of(trained, NATURAL)[0]
    report = evaluate(EvaluationRequest(subject.checkpoint, classifier="natural"))
    found = [measure(tmp_path, subject, column)[1] for column in TWO_RADII]
    assert [item.robust.accuracy for item in found] == [figure.accuracy for figure in report.accuracy.robust]
    assert {item.natural for item in found} == {report.accuracy.natural}


def test_other_attacks_classifiers_and_spaces_are_measured_on_their_own(tmp_path: Path, trained: Path) -> None:
    subject = candidates_of(trained, NATURAL)[0]
    measure(tmp_path, subject, TWO_RADII[0])
    assert measure(tmp_path, subject, TWO_RADII[1])[0] > 0
    assert measure(tmp_path, subject, MORE_STEPS[0])[0] > 0
    assert measure(tmp_path, candidates_of(trained, ADVERSARIAL)[0], TWO_RADII[0])[0] > 0
    assert measure(tmp_path, subject, TWO_RADII[0], "released-code")[0] > 0


def test_other_weights_are_measured_on_their_own(tmp_path: Path, trained: Path) -> None:
    subject = candidates_of(trained, NATURAL)[0]
    measure(tmp_path, subject, TWO_RADII[0])
    other = dataclasses.replace(subject, weights_sha256="0" * 64)
    assert measure(tmp_path, other, TWO_RADII[0])[0] > 0


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json", b'{"natural": "x"}'])
def test_a_damaged_measurement_is_made_again(tmp_path: Path, trained: Path, damage: bytes) -> None:
    subject = candidates_of(trained, NATURAL)[0]
    _, first = measure(tmp_path, subject, TWO_RADII[0])
    [file] = (tmp_path / "measurements").iterdir()
    file.write_bytes(damage)
    pulses, again = measure(tmp_path, subject, TWO_RADII[0])
    assert pulses > 0
    assert again.robust == first.robust


def test_what_is_missing_is_known_without_measuring(tmp_path: Path, trained: Path) -> None:
    measurer, subject = Measurer(tmp_path), candidates_of(trained, NATURAL)[0]
    data = config_of(request_of(tmp_path), OWN, 0).data
    exhaust(measurer.measure_steps(subject, TWO_RADII[0]))
    assert measurer.missing(subject, data, TWO_RADII) == (TWO_RADII[1],)


def test_the_released_code_s_space_moves_images_beyond_epsilon_and_says_so(tmp_path: Path, trained: Path) -> None:
    _, found = measure(tmp_path, candidates_of(trained, NATURAL)[0], TWO_RADII[0], "released-code")
    assert not found.robust.is_in_a_ball
    assert found.robust.largest_distance is not None
    assert found.robust.largest_distance > 8 / 255


def test_images_that_changed_since_the_run_are_not_measured(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_data()
    images = data.test.images.clone()
    images[0, 0, 0, 0] += 1

    def changed(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return dataclasses.replace(data, test=Split(images, data.test.labels))

    assert measure(tmp_path / "before", candidates_of(trained, NATURAL)[0], TWO_RADII[0])[1].notices == ()
    monkeypatch.setattr("claf_engine.reproduce.measuring.dataset_steps", changed)
    with pytest.raises(DataError, match="other test images"):
        measure(tmp_path / "after", candidates_of(trained, NATURAL)[0], TWO_RADII[0])


def test_what_became_of_every_image_is_kept(tmp_path: Path, trained: Path) -> None:
    _, found = measure(tmp_path, candidates_of(trained, NATURAL)[0], TWO_RADII[0])
    assert float(found.outcomes().double().mean()) == found.robust.accuracy
    assert float(found.outcomes(natural=True).double().mean()) == found.natural
    assert not (found.outcomes() & ~found.outcomes(natural=True)).any()


def test_outcomes_of_another_figure_are_measured_again(tmp_path: Path, trained: Path) -> None:
    subject = candidates_of(trained, NATURAL)[0]
    _, first = measure(tmp_path, subject, TWO_RADII[0])
    [file] = (tmp_path / "measurements").iterdir()
    file.write_text(file.read_text().replace(first.right, packed(~first.outcomes(natural=True))))
    assert measure(tmp_path, subject, TWO_RADII[0])[0] > 0
    assert packed(first.outcomes(natural=True)) in file.read_text()


def test_a_number_of_images_is_the_first_so_many(tmp_path: Path, trained: Path) -> None:
    subject = candidates_of(trained, NATURAL)[0]
    _, whole = measure(tmp_path, subject, TWO_RADII[0])
    _, some = measure(tmp_path, subject, dataclasses.replace(TWO_RADII[0], num_examples=5))
    assert some.robust.num_examples == 5
    assert some.outcomes(natural=True).tolist() == whole.outcomes(natural=True)[:5].tolist()
