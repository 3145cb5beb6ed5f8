"""Whatever setting a branch changes, it is refused by its name or trains on to the end: none breaks a run half-way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.config.presets import Override
from claf_engine.events.control import Control
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.runs.branch import branch_run, changed_settings
from claf_engine.terms.errors import ConfigError
from tests.engine.tiny import play, tiny_config, use_tiny_data

METHOD_OF = {
    "supervised": "at",
    "objective": "at",
    "fgsm": "fgsm",
    "trades": "trades",
    "alp": "alp",
    "rocl": "rocl",
    "acl": "acl",
    "clp": "clp",
    "two_encoders": "two-encoders",
    "pretext": "pretext",
}
"""The method that a section of the settings is for; all others are tried with claf."""
STEP = 10
"""Inside a pass, in the second phase of claf."""
SHORT: dict[str, Any] = {
    "probe": {"every_epochs": 0, "num_examples": 4, "steps": 1, "fit_epochs": 1},
    "evaluation": {"steps": 1, "num_examples": 4},
}
COMPANIONS = {
    **{f"{section}.norm": Override(f"{section}.step_size", "1") for section in ("attack", "probe", "evaluation")},
    "attack.random_start": Override("attack.start", "auto"),
    "objective.contrast_weight": Override("averaging.decay", "0.5"),
    "objective.cross_entropy": Override("objective.nuclear_weight", "0.5"),
    "objective.rotation_in_attack": Override("objective.rotation_weight", "0.5"),
}
"""What must change as well: steps as long as an L2 ball asks for; what would contradict a setting, or leave it idle."""


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its key, with its type."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.annotation


def another(key: str, kind: Any, value: Any) -> Any:
    """Another value of the same kind."""
    if key in (given := {"runtime.device": "cpu", "union.norms": ["linf", "l2"]}):
        return given[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 0.5 or 0.25
    if choices := [choice for choice in get_args(kind) if isinstance(choice, str)]:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, list):
        return [another(key, None, value[0]), *value[1:]]
    return {
        None: 8,
        "8/255": "4/255",
        "2/255": "1/255",
        "10/255": "5/255",
        "0.5": "0.25",
        "0.25": "0.3",
        "255/255": "300/255",
        "2": "1.5",
        "1": "0.9",
    }.get(value, f"{value}-other")


KEYS = dict(settings(RunConfig))


@pytest.fixture(scope="module")
def half_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """For each method a run that was stopped inside a pass."""
    root = tmp_path_factory.mktemp("runs")

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == STEP:
            control.stop()

    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch)
        found = {}
        for method in {"claf", *METHOD_OF.values()}:
            epochs = {f"{section}__epochs": 4 for section in ("supervised", "rocl", "acl", "pretext")}
            config = tiny_config(method=method, **epochs, **SHORT)
            directory = create_run(root, method, config, [])
            play(directory, stop)
            found[method] = directory.path
        yield found


def change_of(key: str) -> list[Override]:
    """Another value for a setting, and what must change with it."""
    plain: Any = tiny_config().model_dump(mode="json")
    for part in key.split("."):
        plain = plain[part]
    return [Override(key, another(key, KEYS[key], plain)), *([COMPANIONS[key]] if key in COMPANIONS else [])]


def may_change(key: str) -> bool:
    """Whether a branch may change a setting; where not, that is said by its name."""
    try:
        changed_settings(tiny_config(), change_of(key))
    except ConfigError as error:
        assert key in str(error)  # noqa: PT017 (refusing is one of two right ends)
        return False
    return True


def test_every_setting_may_change_but_those_that_a_checkpoint_depends_on() -> None:
    refused = {key for key in KEYS if not may_change(key)}
    own_words = {
        key for key in refused if not key.startswith(("data.", "model.")) and not key.endswith("optimizer.name")
    }
    assert own_words == {
        "method",
        "seed",
        "batch_size",
        "attack.warm_start",
        "objective.margin",
        "adversarial.classifier_refresh",
        "adversarial.replay_passes",
        "adversarial.classifier_fraction",
        "rocl.head",
        "acl.head",
        "acl.streams",
        "acl.measured_statistics",
        "two_encoders.training",
        "two_encoders.measured",
        "pretext.task",
        "pretext.grid",
        "pretext.permutations",
        "pretext.attention_layers",
        "pretext.head",
        "runtime.precision",
        "runtime.layout",
        "runtime.threads",
    }


@pytest.mark.slow
@pytest.mark.parametrize("section", sorted({key.rpartition(".")[0] for key in KEYS} - {"", "data", "model"}))
def test_a_branch_trains_on_to_the_end_whatever_it_may_change(
    section: str, half_runs: dict[str, Path], tmp_path: Path
) -> None:
    run = half_runs[METHOD_OF.get(section.partition(".")[0], "claf")]
    keys = [key for key in KEYS if key.rpartition(".")[0] == section and may_change(key)]
    assert keys
    changes = [change for key in sorted(keys, key=COMPANIONS.__contains__) for change in change_of(key)]
    ended = play(branch_run(list_checkpoints(run)[0].path, tmp_path, [], changes))[-1]
    assert isinstance(ended, ev.RunFinished)
    assert ended.status == "finished"
