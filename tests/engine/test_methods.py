import pytest

from claf_engine.config import RunConfig
from claf_engine.events import PhasePlan
from claf_engine.methods import METHODS, phases_of
from claf_engine.ticks import Boundary
from tests.engine.tiny import tiny_config, tiny_session

CLAF = ["contrastive", "adversarial", "linear_evaluation", "adversarial_linear_evaluation"]


def names(config: RunConfig) -> list[str]:
    return [phase.name for phase in phases_of(config)]


def test_claf_has_two_stages_and_two_linear_evaluations() -> None:
    assert names(tiny_config()) == CLAF


def test_the_natural_method_is_ordinary_supervised_training() -> None:
    assert names(tiny_config(method="natural")) == ["supervised"]


def test_every_method_of_the_settings_has_phases() -> None:
    methods = RunConfig.model_json_schema()["properties"]["method"]["enum"]
    assert sorted(methods) == sorted(METHODS)


@pytest.mark.parametrize(
    ("setting", "left_out"),
    [
        ("contrastive__epochs", "contrastive"),
        ("adversarial__epochs", "adversarial"),
        ("linear_evaluation__epochs", "linear_evaluation"),
        ("linear_evaluation__adversarial_epochs", "adversarial_linear_evaluation"),
    ],
)
def test_a_phase_of_no_epochs_is_left_out(setting: str, left_out: str) -> None:
    assert names(tiny_config(**{setting: 0})) == [name for name in CLAF if name != left_out]


def test_a_phase_is_announced_with_its_epochs_and_steps() -> None:
    phases = phases_of(tiny_config(adversarial={"epochs": 2, "classifier_epochs": 3}))
    assert phases[1].plan(10) == PhasePlan("adversarial", "2 · adversarial features", 2, 2 * 10 * (3 + 1))


@pytest.mark.parametrize("method", METHODS)
def test_a_phase_takes_as_many_steps_as_it_announces(method: str) -> None:
    session = tiny_session(tiny_config(method=method, adversarial__classifier_epochs=2))
    for phase in phases_of(session.config):
        num_steps = sum(isinstance(tick, Boundary) for tick in phase.play(session))
        session.state.cursor.end_phase()
        assert num_steps == phase.plan(session.steps_per_sweep).steps > 0


@pytest.mark.parametrize("method", METHODS)
def test_the_steps_of_a_phase_bear_the_names_of_its_parts(method: str) -> None:
    session = tiny_session(tiny_config(method=method))
    for phase in phases_of(session.config):
        parts = {tick.part for tick in phase.play(session) if isinstance(tick, Boundary)}
        session.state.cursor.end_phase()
        assert parts == {part.name for part in phase.parts}
