from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.attacks import register_attack
from claf_engine.config.plugins import load_plugin
from claf_engine.config.registry import METHODS
from claf_engine.evaluation.evaluate import EvaluationReport, evaluate
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.terms.errors import CheckpointError, ConfigError
from tests.engine.tiny import play, tiny_config, use_tiny_data
from tests.plugins import LOSS, plugin_file, registries_restored

NOWHERE = Path("none.safetensors")


@pytest.fixture(autouse=True)
def _registries_are_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_tiny_data(monkeypatch)
    with registries_restored():
        register_attack("mine")(dark_corner)
        yield


def dark_corner(
    _model: nn.Module, images: Tensor, _labels: Tensor, epsilon: float, _generator: torch.Generator
) -> Tensor:
    return (images - epsilon).clamp(min=0)


def run_of_a_loss(folder: Path) -> Path:
    """The last checkpoint of a run whose method is a plugin's."""
    load_plugin(plugin_file(folder, LOSS))
    directory = create_run(folder, "mine", tiny_config(method="mine", supervised__epochs=1), [])
    play(directory)
    return list_checkpoints(directory.path)[0].path


def ask(checkpoint: Path, **options: Any) -> EvaluationReport:
    return evaluate(EvaluationRequest(checkpoint, attack="mine", epsilons=(Fraction(8, 255),), device="cpu", **options))


def test_a_run_of_a_plugin_is_measured_under_an_attack_of_a_plugin(tmp_path: Path) -> None:
    record = ask(run_of_a_loss(tmp_path), restarts=2).to_record()
    (figure,) = record["robust"]
    assert (figure["attack"], figure["steps"], figure["step_size"], figure["restarts"]) == ("mine", 0, "own", 2)
    assert figure["robust_accuracy"] <= record["natural_accuracy"]
    assert "mine at 8/255" in Path(record["card"], "card.md").read_text()


def test_a_checkpoint_whose_plugin_is_not_given_cannot_be_measured(tmp_path: Path) -> None:
    checkpoint = run_of_a_loss(tmp_path)
    del METHODS.entries["mine"]
    with pytest.raises(CheckpointError, match="method 'mine' of plugin my.py; give --plugin my.py"):
        ask(checkpoint)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 3}, "mine of a plugin sets its own steps, the last of which decides; leave out --steps"),
        ({"step_size": Fraction(1, 255)}, "leave out --step-size"),
        ({"decides": "any"}, "leave out --decides"),
        ({"norm": "l2"}, "attack 'mine' keeps to linf balls; use --norm linf, not l2"),
        ({"space": "released-code"}, "attack 'mine' searches an epsilon-ball, and --space released-code has none"),
        ({"is_curve": True}, "a range of --eps is measured with pgd, fgsm, mi-fgsm; give mine its radii one by one"),
        (
            {"attack": "minr"},
            r"--attack: unknown attack 'minr'; use .* or mine, or give a --plugin .* did you mean mine",
        ),
    ],
)
def test_an_option_that_an_attack_of_a_plugin_has_no_use_for_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        EvaluationRequest(NOWHERE, **{"attack": "mine", **options})
