import json
import sys
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.audits.request import AuditRequest
from claf_engine.events import records
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError
from claf_tui import cli
from claf_tui.console.bridge import Engine
from claf_tui.console.launch import ConsoleResult
from claf_tui.words import exit_codes
from tests.engine.evaluation.test_cards import card
from tests.tui.scripted import write_checkpoint

Shown = pytest.CaptureFixture[str]
Items = Generator[Pulse | DiagnosticFound, None, Any]

FOUND = DiagnosticFound(
    "steps", "More steps find nothing", "passes", "0 points", "warns above 1", "why", "source", {}, 0.1
)


class Audit:
    """Stands in for the engine's audit; keeps what it was asked for, and interrupts itself where it is told to."""

    def __init__(self) -> None:
        self.verdict = "passes"
        self.request: AuditRequest | None = None
        self.error: BaseException | None = None

    def steps(self, request: AuditRequest) -> Items:
        self.request = request
        yield Pulse("PGD-10 at 8/255", 1, 2)
        found = replace(FOUND, verdict=self.verdict)  # type: ignore[arg-type]
        yield found
        if self.error is not None:
            raise self.error
        yield Pulse("PGD-20 at 8/255", 1, 2)
        record = {**card(verdict=self.verdict), "diagnostics": [vars(found)], "seconds": 1.0, "folder": "/runs/audit/x"}
        record["notices"] = ["told"]
        return SimpleNamespace(verdict=self.verdict, to_record=lambda: record)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Audit:
    fake = Audit()
    monkeypatch.setitem(sys.modules, "claf_engine.audits.audit", SimpleNamespace(audit_steps=fake.steps))
    return fake


@pytest.fixture(autouse=True)
def checkpoint(root: Path) -> Path:
    folder = root / "20260101-000000-old"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    write_checkpoint(folder, 10, natural=0.9)
    return write_checkpoint(folder, 20, natural=0.5)


def asked(engine: Audit, *options: str) -> AuditRequest:
    assert cli.run(["audit", "old", *options]) == 0
    assert engine.request is not None
    return engine.request


def test_a_verdict_a_line_then_the_worst_case_then_the_verdict_over_all(capsys: Shown) -> None:
    assert cli.run(["audit", "old"]) == 0
    shown = capsys.readouterr()
    lines = [line.rstrip() for line in shown.out.splitlines() if line]
    assert lines[0] == "✔ passes  More steps find nothing: 0 points (warns above 1)"
    assert lines[1].startswith("Robust accuracy at 8/255")
    assert lines[-1] == "✔ audit passes: 1 passes; 0:01"
    assert shown.err == "told\ncard: /runs/audit/x/card.md\n"


def test_json_goes_to_stdout_alone(capsys: Shown) -> None:
    assert cli.run(["audit", "old", "--json"]) == 0
    shown = capsys.readouterr()
    record = json.loads(shown.out)
    assert [(item["name"], item["verdict"], item["figure"], item["threshold"]) for item in record["diagnostics"]] == [
        ("steps", "passes", "0 points", "warns above 1")
    ]
    assert shown.err == ""


@pytest.mark.parametrize(("verdict", "code"), [("passes", 0), ("warns", 0), ("not-run", 0), ("fails", 8)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_only_an_audit_that_fails_ends_with_8(engine: Audit, verdict: str, code: int, options: list[str]) -> None:
    engine.verdict = verdict
    assert cli.run(["audit", "old", *options]) == code


def test_without_options_it_audits_the_best_checkpoint_quickly_as_it_was_reported(
    engine: Audit, checkpoint: Path
) -> None:
    request = asked(engine)
    assert request.checkpoint == checkpoint.with_name("step-000000010.safetensors")
    assert (request.budget, request.epsilon, request.space) == ("quick", Fraction(8, 255), None)
    assert (request.num_examples, request.data, request.classifier, request.surrogate) == (None, None, None, None)
    assert (request.seed, request.device) == (0, "auto")


def test_the_options_reach_the_request(engine: Audit, checkpoint: Path) -> None:
    what = "--budget full --eps 4/255 --space released-code --num-examples 7 --data folder:x --classifier natural"
    how = "--checkpoint last --surrogate old --seed 5 --device cpu --ui plain"
    request = asked(engine, *f"{what} {how}".split())
    assert (request.budget, request.epsilon, request.space) == ("full", Fraction(4, 255), "released-code")
    assert (request.num_examples, request.data, request.classifier) == (7, "folder:x", "natural")
    assert (request.checkpoint, request.surrogate) == (
        checkpoint,
        checkpoint.with_name("step-000000010.safetensors"),
    )
    assert (request.seed, request.device) == (5, "cpu")


def test_an_audit_that_is_interrupted_ends_with_130_and_says_that_it_can_go_on(engine: Audit, capsys: Shown) -> None:
    engine.error = KeyboardInterrupt()
    assert cli.run(["audit", "old"]) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from here\n"


def test_a_mistake_ends_as_one_sentence_and_its_exit_code(engine: Audit, capsys: Shown) -> None:
    engine.error = DataError("there are no images")
    assert cli.run(["audit", "old"]) == 3
    assert capsys.readouterr().err == "error: there are no images\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--eps", "8"], "8 is above 1, and images lie in [0, 1]; did you mean 8/255?"),
        (["--eps", "0"], "an audit needs a ball to attack in, and epsilon 0 has none; use --eps 8/255"),
        (["--budget", "huge"], "'--budget'"),
        (["--space", "refcode"], "'--space'"),
        (["--num-examples", "0"], "'--num-examples'"),
        (["--checkpoint", "newest"], "'newest' is neither best, last nor a step"),
        (["--json", "--ui", "tui"], "--json prints the finished audit and cannot be combined with --ui tui"),
        (["--json", "--ui", "jsonl"], "--json prints the finished audit and cannot be combined with --ui jsonl"),
        (["--ui", "tui"], "--ui tui needs a terminal"),
        (["--surrogate", "nobody"], "no run 'nobody'"),
    ],
)
def test_options_that_make_no_sense_are_named(engine: Audit, capsys: Shown, options: list[str], sentence: str) -> None:
    assert cli.run(["audit", "old", *options]) in (2, 3)
    assert sentence in capsys.readouterr().err
    assert engine.request is None


@pytest.mark.parametrize(("verdict", "code"), [("warns", 0), ("fails", 8)])
def test_events_are_lines_of_json_and_the_card_is_the_last(
    engine: Audit, capsys: Shown, verdict: str, code: int
) -> None:
    engine.verdict = verdict
    assert cli.run(["audit", "old", "--ui", "jsonl"]) == code
    shown = capsys.readouterr()
    told = [records.from_record(json.loads(line)) for line in shown.out.splitlines()]
    assert [type(event) for event in told] == [ev.AuditStarted, ev.Progressed, ev.DiagnosticFound, ev.AuditFinished]
    assert isinstance(told[-1], ev.AuditFinished)
    assert told[-1].card["verdict"] == verdict
    assert shown.err == ""


def test_a_mistake_in_an_audit_of_events_is_one_sentence(engine: Audit, capsys: Shown) -> None:
    engine.error = DataError("there are no images")
    assert cli.run(["audit", "old", "--ui", "jsonl"]) == 3
    assert capsys.readouterr().err == "error: there are no images\n"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> list[ev.Event]:
    """A console that plays the audit to its end, keeps what it was told, and leaves by the verdict of the card."""
    told: list[ev.Event] = []

    def run(_app_class: object, engine: Engine, control: Control, *, log_path: Path) -> ConsoleResult:
        assert log_path.parent.is_dir()
        told.extend(engine(control))
        last = told[-1]
        assert isinstance(last, ev.AuditFinished)
        return ConsoleResult(exit_codes.code_of(exit_codes.Ending(verdict=last.card["verdict"])))

    monkeypatch.setattr("claf_tui.console.launch.run_console", run)
    monkeypatch.setattr("claf_tui.runners.audit.choose_ui", lambda _: "tui")
    return told


def test_the_console_is_told_the_diagnostics_and_then_the_card_and_leaves_a_summary(
    console: list[ev.Event], engine: Audit, capsys: Shown
) -> None:
    engine.verdict = "fails"
    assert cli.run(["audit", "old"]) == 8
    assert [type(item).__name__ for item in console] == [
        "AuditStarted",
        "Progressed",
        "DiagnosticFound",
        "Progressed",
        "AuditFinished",
    ]
    assert "✘ audit fails" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [[], ["--accept-changed-data"]])
def test_changed_images_are_accepted_only_where_a_person_says_so(engine: Audit, flags: list[str]) -> None:
    assert asked(engine, *flags).accepts_changed_data == bool(flags)
