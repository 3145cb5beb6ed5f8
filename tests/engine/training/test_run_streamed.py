"""A run whose images are streamed gives the bits of one that holds them all."""

from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events.control import Control
from claf_engine.runs import create_run, list_checkpoints, open_run
from tests.engine.pictures import write_folder
from tests.engine.tiny import play, tiny_config


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pictures"), {"train": 10, "val": 4, "test": 4}, num_classes=3)


@pytest.fixture(autouse=True)
def _private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))


def config_of(pictures: Path, resident: str, workers: int = 0) -> RunConfig:
    return tiny_config(
        data={
            "source": f"folder:{pictures}",
            "num_validation": 6,
            "resident": resident,
            "workers": workers,
        },
        model__mean=(),
        model__std=(),
        contrastive__epochs=1,
        adversarial__epochs=1,
        linear_evaluation={"epochs": 1, "adversarial_epochs": 1, "adversarial_steps": 1},
        attack={"steps": 1, "warm_start": True},
    )


def hash_of(run: Path) -> str:
    return str(list_checkpoints(run)[0].path.name) + str(list_checkpoints(run)[0].info.weights_sha256)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def resident(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = create_run(tmp_path_factory.mktemp("runs"), "held", config_of(pictures, "always"), [])
    play(directory)
    return hash_of(directory.path)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_streamed_run_is_the_resident_one_to_the_bit(
    tmp_path: Path, pictures: Path, resident: str, workers: int
) -> None:
    directory = create_run(tmp_path, "streamed", config_of(pictures, "never", workers), [])
    events = play(directory)
    assert isinstance(events[-1], ev.RunFinished)
    assert hash_of(directory.path) == resident
    assert any("are read as they are needed" in event.text for event in events if isinstance(event, ev.Notice))


@pytest.mark.parametrize(("first", "second"), [("never", "never"), ("never", "always"), ("always", "never")])
def test_a_run_that_was_stopped_inside_a_pass_goes_on_the_same_however_it_reads(
    tmp_path: Path, pictures: Path, resident: str, first: str, second: str
) -> None:
    directory = create_run(tmp_path, "stopped", config_of(pictures, first), [])

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 6:
            control.stop()

    play(directory, stop)
    config = directory.path / "config.toml"
    config.write_text(config.read_text().replace(f'resident = "{first}"', f'resident = "{second}"'))
    events = play(open_run(directory.path))
    assert hash_of(directory.path) == resident
    assert not any("not be bit-identical" in event.text for event in events if isinstance(event, ev.Notice))
