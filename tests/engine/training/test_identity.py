"""A run that was left half-way, and goes on with what it was trained with or not at all."""

import json
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.data import Dataset, Split
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.runs import create_run, list_checkpoints, open_run
from claf_engine.runs.folder import read_config
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, ClafError, DataError, RunError
from claf_engine.training import checkpoint
from tests.engine.tiny import play, tiny_config, tiny_data, use_tiny_data

USE = Callable[[Dataset], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> USE:
    """Puts other images where those of a run lie."""

    def put(data: Dataset) -> None:
        def steps(*_: object) -> Generator[Pulse, None, Dataset]:
            yield Pulse("drawing tiny images")
            return data

        monkeypatch.setattr("claf_engine.training.opening.dataset_steps", steps)

    use_tiny_data(monkeypatch)
    return put


def half_run(root: Path, step: int = 5, **changes: Any) -> Path:
    """A run that was stopped at a step; the third pass over three batches is then half done."""
    directory = create_run(root, "tiny", tiny_config(method="natural", supervised__epochs=4, **changes), [])

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == step:
            control.stop()

    assert isinstance(finished := play(directory, stop)[-1], ev.RunFinished)
    assert finished.status == "stopped"
    return directory.path


def go_on(run: Path, *, is_accepted: bool = False) -> list[ev.Event]:
    directory = open_run(run)
    directory.accepts_changed_data = is_accepted
    return play(directory)


def notices(events: list[ev.Event]) -> str:
    return " ".join(event.text for event in events if isinstance(event, ev.Notice))


def with_train(data: Dataset, count: int) -> Dataset:
    more = tiny_data(num_train=48).train
    return replace(data, train=Split(more.images[:count], more.labels[:count]))


def swapped(data: Dataset) -> Dataset:
    flip = {0: 1, 1: 0}
    labels = data.test.labels.clone()
    return replace(data, test=Split(data.test.images, labels.apply_(lambda label: flip.get(label, label))))


CHANGED = {
    "renamed": (replace(tiny_data(), class_names=("class 0", "class 1", "cat", "class 3")), "is 'cat'"),
    "swapped": (swapped(tiny_data()), "other test images"),
    "added": (with_train(tiny_data(), 40), "24 training images, now 40"),
    "removed": (with_train(tiny_data(), 10), "24 training images, now 10"),
}


def test_the_same_images_go_on_without_a_word(use: USE, tmp_path: Path) -> None:
    events = go_on(half_run(tmp_path))
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"
    assert "images" not in notices(events)


@pytest.mark.parametrize("change", CHANGED)
def test_changed_images_are_refused_with_what_differs(change: str, use: USE, tmp_path: Path) -> None:
    run, (data, words) = half_run(tmp_path), CHANGED[change]
    kept = (run / "metrics.jsonl").read_bytes()
    use(data)
    with pytest.raises(DataError, match="not those that step-.*--accept-changed-data") as refused:
        go_on(run)
    assert words in str(refused.value)
    assert (run / "metrics.jsonl").read_bytes() == kept


@pytest.mark.parametrize("change", CHANGED)
def test_changed_images_that_are_accepted_are_recorded(change: str, use: USE, tmp_path: Path) -> None:
    run, (data, words) = half_run(tmp_path), CHANGED[change]
    use(data)
    events = go_on(run, is_accepted=True)
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"
    assert "changed data was accepted: " in notices(events)
    assert words in notices(events)
    record = json.loads((run / "run.json").read_text())
    assert words in record["data_notices"][0]
    info = list_checkpoints(run)[0].info
    assert info is not None
    assert info.metadata["claf.data"] == record["data"]


def test_another_number_of_classes_is_never_accepted(use: USE, tmp_path: Path) -> None:
    run = half_run(tmp_path)
    use(tiny_data(num_classes=3))
    with pytest.raises(DataError, match="4 classes, now 3.*; restore them$"):
        go_on(run, is_accepted=True)


def test_shapes_that_another_processor_rounds_otherwise_are_told(use: USE, tmp_path: Path) -> None:
    use(replace(tiny_data(), name="shapes"))
    run = half_run(tmp_path)
    images = tiny_data().train.images.clone()
    images[0, 0, 0, 0] += 1
    use(replace(tiny_data(), name="shapes", train=Split(images, tiny_data().train.labels)))
    assert "the shapes drawn here differ in some levels" in notices(go_on(run))


@pytest.fixture
def of_earlier_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are written without the key, as earlier code did."""
    original = checkpoint._metadata

    def older(*args: Any) -> dict[str, str]:
        return {key: value for key, value in original(*args).items() if key != "claf.data"}

    monkeypatch.setattr(checkpoint, "_metadata", older)


@pytest.mark.usefixtures("of_earlier_code")
def test_a_checkpoint_of_earlier_code_goes_on_with_a_notice(use: USE, tmp_path: Path) -> None:
    run = half_run(tmp_path)
    assert "claf.data" not in read_info(list_checkpoints(run)[0].path).metadata
    assert "is of earlier code and does not know its images" in notices(go_on(run))


@pytest.mark.usefixtures("of_earlier_code")
def test_removed_images_are_no_index_error_of_a_checkpoint_of_earlier_code(use: USE, tmp_path: Path) -> None:
    run = half_run(tmp_path)
    use(with_train(tiny_data(), 10))
    with pytest.raises(DataError, match="inside a pass over more than the 10 training images"):
        go_on(run)
    assert "earlier code" in notices(go_on(run, is_accepted=True))


def test_a_state_that_keeps_something_for_each_image_needs_them_all(use: USE, tmp_path: Path) -> None:
    directory = create_run(tmp_path, "warm", tiny_config(contrastive__epochs=1, attack={"warm_start": True}), [])

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 5:
            control.stop()

    play(directory, stop)
    use(with_train(tiny_data(), 40))
    with pytest.raises(CheckpointError, match="keeps something for each of 24 training images"):
        go_on(directory.path, is_accepted=True)


SETTINGS = {
    "batch_size": ("batch_size = 8", "batch_size = 12", "batch_size was 8, is 12"),
    "seed": ("seed = 0\nbatch_size", "seed = 5\nbatch_size", "seed was 0, is 5"),
    "method": ('method = "natural"', 'method = "at"', "method was 'natural', is 'at'"),
    "epochs": ("[supervised]\nepochs = 4", "[supervised]\nepochs = 2", "supervised.epochs was 4, is 2"),
}


def edit(run: Path, old: str, new: str) -> None:
    text = (run / "config.toml").read_text()
    assert old in text
    (run / "config.toml").write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("key", SETTINGS)
def test_edited_settings_are_refused_with_what_differs(key: str, use: USE, tmp_path: Path) -> None:
    run, (old, new, words) = half_run(tmp_path), SETTINGS[key]
    edit(run, old, new)
    with pytest.raises(RunError, match="config.toml of run .* is not what step-") as refused:
        go_on(run)
    assert words in str(refused.value)
    edit(run, new, old)
    assert isinstance(go_on(run)[-1], ev.RunFinished)


def test_settings_that_decide_nothing_of_the_training_may_change(use: USE, tmp_path: Path) -> None:
    run = half_run(tmp_path)
    edit(run, "keep_last = 3", "keep_last = 7")
    edit(run, "log_every = 1", "log_every = 2")
    edit(run, "every_epochs = 1", "every_epochs = 2")
    events = go_on(run)
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"


def test_images_may_lie_elsewhere(use: USE, tmp_path: Path) -> None:
    run = half_run(tmp_path)
    edit(run, 'source = "shapes"', 'source = "folder:/elsewhere"')
    assert isinstance(go_on(run)[-1], ev.RunFinished)


@pytest.mark.usefixtures("of_earlier_code")
def test_images_of_a_checkpoint_that_does_not_know_them_may_not(use: USE, tmp_path: Path) -> None:
    run = half_run(tmp_path)
    edit(run, 'source = "shapes"', 'source = "folder:/elsewhere"')
    with pytest.raises(ClafError, match="data.source was 'shapes', is 'folder:/elsewhere'"):
        go_on(run)


def gray(run: Path, use: USE) -> list[ev.Event]:
    use(tiny_data(channels=1))
    config = tiny_config(method="claf", model__mean=(), model__std=())
    return play(create_run(run, "tiny", config, []))


def test_statistics_that_are_not_given_are_measured_told_and_kept(tmp_path: Path, use: USE) -> None:
    events = gray(tmp_path, use)
    run = next(tmp_path.iterdir())
    pixels = tiny_data(channels=1).train.images.double() / 255
    expected = [round(float(pixels.mean()), 4)], [round(float(pixels.std(correction=0)), 4)]
    kept, model = json.loads((run / "run.json").read_text())["channel_statistics"], read_config(run).model
    assert (kept["mean"], kept["std"]) == (list(model.mean), list(model.std)) == expected
    assert "were measured on the 24 training images" in notices(events)
    assert read_info(list_checkpoints(run)[0].path).metadata["claf.config"]["model"]["mean"] == expected[0]


def test_a_resumed_run_measures_nothing_again(tmp_path: Path, use: USE) -> None:
    use(tiny_data(channels=1))
    run = half_run(tmp_path, model__mean=(), model__std=())
    before = read_config(run).model
    assert before.num_channels == 1
    assert "were measured" not in notices(go_on(run))
    assert read_config(run).model == before


def test_images_of_other_channels_than_the_model_takes_are_refused(tmp_path: Path, use: USE) -> None:
    use(tiny_data(channels=1))
    with pytest.raises(DataError, match="the images of tiny have 1 channel and the network takes 3"):
        play(create_run(tmp_path, "tiny", tiny_config(method="natural"), []))


def test_a_run_whose_statistics_were_given_keeps_its_settings_untouched(tmp_path: Path, use: USE) -> None:
    use(tiny_data())
    directory = create_run(tmp_path, "tiny", tiny_config(method="natural", supervised__epochs=1), [])
    before = (directory.path / "config.toml").read_bytes()
    play(directory)
    assert (directory.path / "config.toml").read_bytes() == before
    assert "channel_statistics" not in json.loads((directory.path / "run.json").read_text())
