import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from claf_engine.config import DataConfig
from claf_engine.data import Split, dataset_steps
from claf_engine.events.ticks import exhaust
from claf_engine.runs import create_run
from claf_engine.terms.errors import DataError
from results import held_out
from tests.engine.pictures import write_folder
from tests.engine.tiny import play, tiny_config

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"folder:{write_folder(tmp_path_factory.mktemp('images'), {'train': 30, 'test': 4}, side=8)}"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))


def config_of(source: str, num_train: int | None = 20) -> DataConfig:
    return DataConfig(source=source, num_train=num_train, num_validation=10, num_test=8)


def pictures(split: Split) -> set[bytes]:
    return {split.images[index : index + 1].numpy().tobytes() for index in range(len(split))}


def test_held_out_images_begin_with_the_validation_images_and_hold_none_that_was_trained_on(images: str) -> None:
    config = config_of(images)
    own = exhaust(dataset_steps(config, CPU))
    more = held_out.held_out(config, 35)
    assert len(pictures(more)) == len(more) == 35
    assert torch.equal(more.images[:10], own.validation.images[:])
    assert torch.equal(more.labels[:10], own.validation.labels)
    assert not pictures(more) & (pictures(own.train) | pictures(own.test))


def test_more_than_are_left_are_refused(images: str) -> None:
    with pytest.raises(DataError, match="num_validation=61"):
        held_out.held_out(config_of(images), 41)


def test_a_run_that_trained_on_everything_has_none(images: str) -> None:
    with pytest.raises(DataError, match="to the last image"):
        held_out.held_out(config_of(images, num_train=None), 35)


def test_a_source_that_validates_on_images_of_its_own_has_none(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", {"train": 30, "val": 5, "test": 4}, side=8)
    with pytest.raises(DataError, match="images of its own"):
        held_out.held_out(config_of(f"folder:{root}").model_copy(update={"validation": "own"}), 12)


def trained(root: Path, source: str, name: str) -> Path:
    data = {"source": source, "num_train": 20, "num_validation": 10, "num_test": 8}
    run = create_run(root, name, tiny_config(method="natural", data=data, evaluation__num_examples=4), [])
    list(play(run))
    return run.path


def test_runs_are_measured_once_and_compared_with_the_first(
    images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, other = (trained(tmp_path / "runs", images, name) for name in ("base", "search-other"))
    records = tmp_path / "held_out.json"
    command = ["held_out", f"AT={base}", str(other), "--images", "25", "--records", str(records)]
    monkeypatch.setattr(sys, "argv", command)
    held_out.main()
    first, second = json.loads(records.read_text())
    assert (first["name"], second["name"]) == ("AT", "other")
    assert len(first["survivors"]) == 25
    assert first["stronger"] == first["survivors"].count("1") / 25 <= first["robust"] <= first["natural"]
    assert first["survivors"] == second["survivors"]  # the same seed
    assert "| other |" in capsys.readouterr().out
    monkeypatch.setattr(held_out, "measured", None)  # not asked again
    held_out.main()


def record(name: str, survivors: Sequence[int]) -> held_out.HeldOut:
    bits = "".join(map(str, survivors))
    return held_out.HeldOut(name, 320.0, 0.6, 0.4, bits.count("1") / len(bits), bits)


def test_the_table_ranks_and_compares_pairs() -> None:
    base, same = record("AT", [1, 0] * 100), record("same", [1, 0] * 100)
    better = record("better", [1, 1] + [1, 0] * 89 + [1, 1] * 10)
    shown = held_out.as_table([base, same, better]).splitlines()[2:]
    assert [line.split(" | ")[0] for line in shown] == ["| better", "| AT", "| same"]
    assert "+5.5 [" in shown[0]
    assert shown[1].endswith("| – |")
    assert "≈ +0.0 [" in shown[2]
