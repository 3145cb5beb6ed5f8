import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from claf_engine.config import RunConfig
from claf_engine.config.presets import parse_override, resolve_config
from claf_engine.events import StepLogged
from claf_engine.events.control import Control
from claf_engine.runs import create_run, list_checkpoints, open_run, read_config
from claf_engine.runs.journal import METRICS, read_records
from claf_engine.runs.trained import settings_of
from claf_engine.terms.errors import RunError
from claf_engine.training.checkpoint import load_checkpoint
from claf_engine.training.run import run
from results.unfinished import KEPT, keep, restore

STOPPED_AT = 6


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes, 24 images to train on and 8 to test on each."""
    root, draw = tmp_path_factory.mktemp("data") / "pictures", np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 8)):
        for brightness, name in ((60, "dark"), (190, "light")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = (draw.integers(0, 60, (16, 16, 3)) + brightness).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def config_of(images: Path) -> RunConfig:
    changes = (f"data.source=folder:{images}", "data.num_train=32", "data.num_validation=8", "data.num_test=8")
    more = ("method=at", "batch_size=8", "supervised.epochs=3", "probe.num_examples=8", "checkpoint.min_seconds=0")
    return resolve_config("smoke", overrides=[parse_override(each) for each in (*changes, *more)])


def trained(images: Path, root: Path, *, stop: bool) -> Path:
    directory, control = create_run(root, "tiny", config_of(images), command=["/opt/x/claf-tui", "train"]), Control()
    for event in run(directory, control):
        if stop and isinstance(event, StepLogged) and event.step == STOPPED_AT:
            control.stop()
    directory.close()
    return directory.path


@pytest.fixture(scope="module")
def stopped(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(images, tmp_path_factory.mktemp("stopped"), stop=True)


def losses(path: Path) -> list[float]:
    return [record["loss"] for record in read_records(path / METRICS) if record["type"] == "StepLogged"]


def weights(path: Path) -> list[tuple[int, str]]:
    """Step and hash of the newest and the best checkpoint."""
    entries = [entry for entry in list_checkpoints(path) if KEPT.intersection(entry.kept_as)]
    return [(entry.info.step, entry.info.weights_sha256) for entry in entries if entry.info]


def test_a_kept_run_goes_on_elsewhere_as_if_nothing_had_happened(images: Path, stopped: Path, tmp_path: Path) -> None:
    undisturbed = trained(images, tmp_path / "undisturbed", stop=False)
    moved = shutil.copytree(images, tmp_path / "elsewhere" / "pictures")
    assert keep(stopped, tmp_path / "kept")
    path = restore(tmp_path / "kept" / stopped.name, tmp_path / "runs", f"folder:{moved}")
    directory = open_run(path)
    events = list(run(directory, Control()))
    directory.close()
    assert any(isinstance(event, StepLogged) for event in events), "the rest was trained here"
    assert losses(path) == losses(undisturbed)
    assert weights(path) == weights(undisturbed)


def test_what_is_kept_names_no_folder_of_this_machine(stopped: Path, images: Path, tmp_path: Path) -> None:
    assert str(images).encode() in b"".join(path.read_bytes() for path in stopped.rglob("*") if path.is_file())
    keep(stopped, tmp_path)
    for path in (tmp_path / stopped.name).rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert not any(
                each in text for each in (str(images.parent).encode(), str(stopped.parent).encode(), b"/opt/")
            )


def test_only_the_newest_the_best_and_the_early_checkpoint_are_kept_and_all_are_whole(
    stopped: Path, tmp_path: Path
) -> None:
    keep(stopped, tmp_path)
    assert weights(tmp_path / stopped.name) == weights(stopped)
    kept = [entry.path for entry in list_checkpoints(tmp_path / stopped.name)]
    wanted = [entry.path.name for entry in list_checkpoints(stopped) if {"last", "best", "early"} & set(entry.kept_as)]
    assert len(kept) <= len(KEPT)
    assert [path.name for path in kept] == wanted
    for path in kept:
        load_checkpoint(path)


def test_records_after_the_newest_checkpoint_are_left_out(stopped: Path, tmp_path: Path) -> None:
    run_folder = Path(shutil.copytree(stopped, tmp_path / "runs" / stopped.name))
    with (run_folder / METRICS).open("a") as file:
        file.write(json.dumps({"seq": 10_000, "type": "StepLogged", "loss": 1.0}) + "\n" + '{"seq": 10001, "ty')
    keep(run_folder, tmp_path / "kept")
    assert losses(tmp_path / "kept" / stopped.name) == losses(stopped)


def test_keeping_again_replaces_what_was_kept(stopped: Path, tmp_path: Path) -> None:
    (tmp_path / stopped.name).mkdir()
    (tmp_path / stopped.name / "old").touch()
    keep(stopped, tmp_path)
    assert not (tmp_path / stopped.name / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == [stopped.name], "and nothing half-made stays"


def test_keeping_again_leaves_checkpoints_that_say_the_same_byte_for_byte(stopped: Path, tmp_path: Path) -> None:
    def kept() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / stopped.name / "checkpoints").iterdir()}

    keep(stopped, tmp_path)
    first = kept()
    for _ in range(3):
        keep(stopped, tmp_path)
        assert kept() == first


def test_a_run_without_a_checkpoint_is_not_kept(stopped: Path, tmp_path: Path) -> None:
    run_folder = Path(shutil.copytree(stopped, tmp_path / "runs" / stopped.name))
    shutil.rmtree(run_folder / "checkpoints")
    assert not keep(run_folder, tmp_path / "kept")
    assert not (tmp_path / "kept" / stopped.name).exists()


def test_a_checkpoint_that_is_deleted_while_it_is_copied_is_no_failure(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder = Path(shutil.copytree(stopped, tmp_path / "runs" / stopped.name))
    gone = min((run_folder / "checkpoints").glob("*.safetensors"))
    looked: list[Path] = []

    def listed(path: Path) -> Any:
        """The first look sees a file that then goes."""
        entries = list_checkpoints(path)
        if not looked:
            gone.unlink()
            looked.append(gone)
            return [entry for entry in entries if entry.path == gone or "last" in entry.kept_as]
        return entries

    monkeypatch.setattr("results.unfinished.list_checkpoints", listed)
    monkeypatch.setattr("results.unfinished.KEPT", {"last", "best", "requested"})
    assert keep(run_folder, tmp_path / "kept")


def test_a_run_that_is_there_is_not_written_over(stopped: Path, tmp_path: Path) -> None:
    keep(stopped, tmp_path / "kept")
    restore(tmp_path / "kept" / stopped.name, tmp_path / "runs")
    with pytest.raises(RunError, match="is there already"):
        restore(tmp_path / "kept" / stopped.name, tmp_path / "runs")
    with pytest.raises(RunError, match="nothing is kept"):
        restore(tmp_path / "kept" / "other", tmp_path / "runs")


def test_without_another_place_of_the_images_settings_stay_as_kept(stopped: Path, tmp_path: Path) -> None:
    keep(stopped, tmp_path / "kept")
    path = restore(tmp_path / "kept" / stopped.name, tmp_path / "runs")
    assert read_config(path).data.source == "folder:pictures"


def test_checkpoints_of_a_restored_run_name_the_images_that_its_settings_name(
    images: Path, stopped: Path, tmp_path: Path
) -> None:
    def sources(path: Path) -> set[str]:
        infos = [entry.info for entry in list_checkpoints(path)]
        return {settings_of(info).data.source for info in infos if info is not None}

    keep(stopped, tmp_path / "kept")
    plain = restore(tmp_path / "kept" / stopped.name, tmp_path / "plain")
    assert sources(plain) == {"folder:pictures"}, "the control"
    path = restore(tmp_path / "kept" / stopped.name, tmp_path / "runs", f"folder:{images}")
    assert sources(path) == {read_config(path).data.source} == {f"folder:{images}"}
    for entry in list_checkpoints(path):
        load_checkpoint(entry.path)
    assert weights(path) == weights(stopped)
