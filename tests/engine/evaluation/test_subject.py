"""What is measured are the images that a checkpoint was trained with, or what differs is said."""

import json
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from claf_engine.data import Dataset, Split
from claf_engine.evaluation.evaluate import EvaluationReport, evaluate
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.evaluation.subject import Wanted, open_steps
from claf_engine.events.ticks import Pulse
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.terms.errors import DataError
from claf_engine.training import checkpoint as writing
from tests.engine.tiny import exhaust, finished_run, play, tiny_config, tiny_data, use_tiny_data

DATA = tiny_data()
CONFIG = tiny_config(method="natural", supervised__epochs=1, evaluation={"steps": 1, "num_examples": 4})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return list_checkpoints(finished_run(tmp_path_factory.mktemp("runs"), CONFIG).path)[0].path


def put(monkeypatch: pytest.MonkeyPatch, data: Dataset) -> None:
    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return data

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)


def ask(checkpoint: Path, **options: Any) -> EvaluationReport:
    return evaluate(EvaluationRequest(checkpoint, steps=1, device="cpu", **options))


def told(report: EvaluationReport) -> tuple[str, ...]:
    """What a report says of its images; that a network of so few steps only guesses is no news here."""
    return tuple(text for text in report.notices if "guessing" not in text)


def with_test_images(change: int) -> Dataset:
    images = DATA.test.images.clone()
    images[3, 0, 0, 0] += change
    return replace(DATA, test=Split(images, DATA.test.labels))


def test_the_images_of_the_run_are_measured_without_a_word(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, with_test_images(0))
    assert told(ask(checkpoint)) == ()


def test_the_layout_that_a_run_was_given_is_not_measured_again(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, DATA)
    monkeypatch.setattr("claf_engine.compute.device.has_bf16", lambda _: False)
    monkeypatch.setattr("claf_engine.compute.device.measure", lambda *_: pytest.fail("it was measured"))
    _, opened = exhaust(open_steps(checkpoint, wanted=Wanted(), device="auto"))
    assert opened.compute.layout == CONFIG.runtime.layout


def test_changed_test_images_are_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, with_test_images(1))
    with pytest.raises(DataError, match=r"was trained with \(other test images\); restore them, or give --accept"):
        ask(checkpoint)


def test_changed_test_images_that_are_accepted_are_told_in_report_and_card(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask_own(checkpoint, monkeypatch)
    put(monkeypatch, with_test_images(1))
    report = ask(checkpoint, accepts_changed_data=True)
    assert report.images_sha256 != before.images_sha256
    assert report.card is not None
    for told in (report.to_record()["notices"], json.loads((report.card / "card.json").read_text())["notices"]):
        assert "changed data was accepted: other test images" in " ".join(told)


def ask_own(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> EvaluationReport:
    put(monkeypatch, DATA)
    return ask(checkpoint)


def test_exchanged_class_names_are_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, replace(DATA, class_names=("class 1", "class 0", "class 2", "class 3")))
    with pytest.raises(DataError, match="class 0 was 'class 0', is 'class 1'"):
        ask(checkpoint)


def test_changed_training_images_matter_to_an_audit_and_not_to_an_evaluation(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, replace(DATA, train=Split(DATA.train.images[:8], DATA.train.labels[:8])))
    assert told(ask(checkpoint)) == ()
    with pytest.raises(DataError, match="24 training images, now 8"):
        exhaust(open_steps(checkpoint, wanted=Wanted(splits=("train", "test")), device="cpu"))


def test_other_images_that_a_person_names_are_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, replace(with_test_images(1), name="cifar10"))
    assert told(ask(checkpoint, data="cifar10")) == (
        "measured on cifar10, which --data names, and not on the run's own shapes",
    )


def test_a_checkpoint_of_earlier_code_is_measured_with_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny_data(monkeypatch)
    original = writing._metadata
    monkeypatch.setattr(
        writing, "_metadata", lambda *args: {k: v for k, v in original(*args).items() if k != "claf.data"}
    )
    directory = create_run(tmp_path, "older", CONFIG, [])
    play(directory)
    put(monkeypatch, with_test_images(1))
    (notice,) = told(ask(list_checkpoints(directory.path)[0].path))
    assert "is of earlier code and does not know its images" in notice


def pictures(root: Path, seed: int) -> None:
    """Two classes of ten images each to train on and as many to test on."""
    generator = torch.Generator().manual_seed(seed)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for index in range(10):
                pixels = torch.randint(0, 256, (8, 8, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(root / part / name / f"{index}.png")


@pytest.fixture
def run_on_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trained in the folder "here", with other images of the same name in "there"."""
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))
    pictures(tmp_path / "here" / "images", 0)
    pictures(tmp_path / "there" / "images", 1)
    monkeypatch.chdir(tmp_path / "here")
    data = {"source": "folder:images", "num_validation": 4}
    config = tiny_config(method="natural", supervised__epochs=1, data=data)
    directory = create_run(tmp_path / "runs", "relative", config, ["claf-tui"])
    play(directory)
    return directory.path


def test_a_run_of_a_relative_folder_is_measured_on_its_own_images_from_anywhere(
    tmp_path: Path, run_on_a_relative_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = list_checkpoints(run_on_a_relative_folder)[0].path
    reports = []
    for folder in ("here", "there", "."):
        monkeypatch.chdir(tmp_path / folder)
        reports.append(ask(path))
    assert len({(report.accuracy.natural, report.images_sha256, report.data) for report in reports}) == 1
    monkeypatch.chdir(tmp_path / "there")
    other = ask(path, data="folder:images")
    assert other.images_sha256 != reports[0].images_sha256
    assert other.data == f"folder:{tmp_path}/there/images"
    record = json.loads((run_on_a_relative_folder / "run.json").read_text())
    assert record["working_folder"] == str(tmp_path / "here")


def test_a_relative_folder_of_earlier_code_is_taken_from_where_one_stands_with_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_on_a_relative_folder: Path
) -> None:
    monkeypatch.setattr("claf_engine.runs.folder.absolute_source", lambda source, _: source)
    monkeypatch.chdir(tmp_path / "here")
    data = {"source": "folder:images", "num_validation": 4}
    directory = create_run(
        tmp_path / "runs", "older", tiny_config(method="natural", supervised__epochs=1, data=data), []
    )
    play(directory)
    path = list_checkpoints(directory.path)[0].path
    assert f"folder:{tmp_path}/here/images was taken for it" in " ".join(told(ask(path)))
    monkeypatch.chdir(tmp_path / "there")
    with pytest.raises(DataError, match="other test images"):
        ask(path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="relative to a folder that it did not keep"):
        ask(path)


def test_measuring_needs_the_test_images_alone(tmp_path: Path, run_on_a_relative_folder: Path) -> None:
    path = list_checkpoints(run_on_a_relative_folder)[0].path
    before = ask(path)
    (tmp_path / "here" / "images" / "train").rename(tmp_path / "elsewhere")
    after = ask(path)
    assert (after.accuracy.natural, after.images_sha256) == (before.accuracy.natural, before.images_sha256)
    assert ask(path, data=f"folder:{tmp_path}/here/images").images_sha256 == before.images_sha256
    assert ask(path).images_sha256 == before.images_sha256
    _, opened = exhaust(open_steps(path, wanted=Wanted(splits=("train", "test")), device="cpu"))
    assert len(opened.data.train) == 0
    assert any("has no train/: what is fitted on training images was not run" in text for text in opened.notices)
    shutil.rmtree(tmp_path / "here" / "images" / "test" / "b")
    with pytest.raises(DataError, match="holds only the class a"):
        ask(path)


def test_too_few_training_images_to_split_do_not_keep_test_images_from_being_measured(
    tmp_path: Path, run_on_a_relative_folder: Path
) -> None:
    path = list_checkpoints(run_on_a_relative_folder)[0].path
    for name in ("a", "b"):
        for index in range(9):
            (tmp_path / "here" / "images" / "train" / name / f"{index}.png").unlink()
    assert told(ask(path)) == ()
    with pytest.raises(DataError, match="leaves nothing to train on"):
        exhaust(open_steps(path, wanted=Wanted(splits=("train", "test")), device="cpu"))
