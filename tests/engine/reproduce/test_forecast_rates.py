from pathlib import Path

import pytest

from claf_engine.config import RunConfig
from claf_engine.reproduce.forecast import Clock, Rates, measure_rates, num_images
from claf_engine.reproduce.tables import MORE_STEPS, TWO_RADII
from tests.engine.tiny import tiny_config


@pytest.fixture(autouse=True)
def _one_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pass of one image take a millisecond."""
    monkeypatch.setattr("claf_engine.reproduce.forecast.measure_rates", lambda _: Rates(1e-3, 1e-3, 1e-3))


def test_more_epochs_and_more_attack_steps_take_longer() -> None:
    clock, crossing = Clock(), {"steps": 2, "step_size": "16/255"}

    def seconds(**changes: object) -> float:
        return clock.run_seconds(tiny_config(method="at", evaluation=crossing, **changes))

    assert seconds(supervised__epochs=8) > seconds() * 2
    assert seconds(attack__steps=8) > seconds()


def test_measurements_count_natural_passes_and_two_for_every_step() -> None:
    config = tiny_config()
    assert Clock().measurement_seconds(config, TWO_RADII) == pytest.approx(16 * 44e-3)
    assert Clock().measurement_seconds(config, MORE_STEPS[:1]) == pytest.approx(16 * 42e-3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"source": "shapes"}, (4000, 1000)),
        ({"source": "cifar10"}, (49_000, 10_000)),
        ({"source": "cifar10", "num_train": 500, "num_test": 100}, (500, 100)),
    ],
)
def test_the_number_of_images_is_known_without_loading_them(data: dict[str, object], expected: tuple[int, int]) -> None:
    assert num_images(RunConfig.model_validate({"data": data})) == expected


def test_the_size_of_a_function_s_images_is_guessed_and_it_is_not_called() -> None:
    config = RunConfig.model_validate({"data": {"num_train": 500}})
    data = config.data.model_copy(update={"source": "a-plugin-s"})
    assert num_images(config.model_copy(update={"data": data})) == (500, 10_000)


def test_the_images_of_a_folder_are_counted(tmp_path: Path) -> None:
    for part, count in (("train", 12), ("test", 3)):
        for name in ("a", "b"):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").write_bytes(b"")
    data = {"source": f"folder:{tmp_path}", "num_validation": 4}
    assert num_images(RunConfig.model_validate({"data": data})) == (20, 6)


def test_a_network_s_passes_take_a_positive_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.reproduce.forecast.MIN_SECONDS", 0.0)
    rates = measure_rates(tiny_config())
    assert min(rates.training, rates.attack, rates.exact) > 0
