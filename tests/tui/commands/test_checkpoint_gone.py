"""Commands that open a checkpoint of a run that trains: the chosen file may be deleted before it is open."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claf_engine.audits.request import AuditRequest
from claf_engine.evaluation.evaluate import autoattack_folder
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.events.ticks import Pulse
from claf_engine.runs.header import CheckpointInfo, read_info
from claf_tui import cli
from tests.engine.evaluation.test_cards import card
from tests.tui.scripted import write_checkpoint

Shown = pytest.CaptureFixture[str]


class Training:
    """Deletes the first checkpoint that is opened, as a run that trains does once it has written the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []

    def read(self, path: Path) -> CheckpointInfo:
        self.opened.append(path.name)
        if len(self.opened) == 1:
            write_checkpoint(self.folder, 30, natural=0.9)
            path.unlink()
        return read_info(path)

    def steps(self, request: Any) -> Generator[Pulse, None, Any]:
        self.read(request.checkpoint)
        yield Pulse("natural accuracy", 1, 1)
        evaluated = {"natural_accuracy": 0.9, "robust": [], "checkpoint": request.checkpoint.name, "notices": []}
        audited = {**card(), "checkpoint": request.checkpoint.name, "diagnostics": [], "seconds": 1.0, "folder": None}
        record = audited if isinstance(request, AuditRequest) else evaluated
        return SimpleNamespace(verdict="passes", to_record=lambda: record)


@pytest.fixture(autouse=True)
def training(root: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    folder = root / "20260101-000000-old"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    write_checkpoint(folder, 20, natural=0.5)
    trained = Training(folder)
    evaluate = SimpleNamespace(
        EvaluationRequest=EvaluationRequest, evaluation_steps=trained.steps, autoattack_folder=autoattack_folder
    )
    monkeypatch.setitem(sys.modules, "claf_engine.evaluation.evaluate", evaluate)
    monkeypatch.setitem(sys.modules, "claf_engine.audits.audit", SimpleNamespace(audit_steps=trained.steps))
    monkeypatch.setattr("claf_engine.runs.header.read_info", trained.read)
    return trained


FIRST, NEXT = "step-000000020.safetensors", "step-000000030.safetensors"


@pytest.mark.parametrize(
    ("command", "key"), [(["eval"], "checkpoint"), (["audit"], "checkpoint"), (["checkpoint", "show"], "path")]
)
def test_a_run_s_checkpoint_that_goes_is_chosen_afresh(
    training: Training, capsys: Shown, command: list[str], key: str
) -> None:
    assert cli.run([*command, "old", "--json"]) == 0
    assert training.opened == [FIRST, NEXT]
    assert Path(json.loads(capsys.readouterr().out)[key]).name == NEXT


@pytest.mark.parametrize("command", [["eval"], ["audit"], ["checkpoint", "show"]])
def test_a_file_that_was_named_and_goes_is_an_error(training: Training, capsys: Shown, command: list[str]) -> None:
    assert cli.run([*command, str(training.folder / "checkpoints" / FIRST)]) == 3
    assert training.opened == [FIRST]
    assert "no checkpoint at" in capsys.readouterr().err
