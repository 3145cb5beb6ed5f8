from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claf_engine.audits.request import AuditRequest
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.auditing import Audited, audited_steps, worst
from claf_engine.reproduce.choosing import candidates_of
from claf_engine.reproduce.measuring import Subject
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import list_runs
from tests.engine.reproduce.conftest import Reproduced
from tests.engine.tiny import exhaust

CARD: dict[str, Any] = {
    "verdict": "fails",
    "diagnostics": [
        {"title": "more steps do not matter", "verdict": "fails"},
        {"title": "noise is harmless", "verdict": "warns"},
        {"title": "a black box is weaker", "verdict": "passes"},
    ],
    "worst_case": {"accuracy": 0.25, "interval": [0.2, 0.3]},
    "num_examples": 100,
    "budget": "quick",
    "space": "pixel",
}
FOUND = Audited("fails", ("more steps do not matter",), ("noise is harmless",), 0.25, (0.2, 0.3), 100, "quick", "pixel")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[AuditRequest]:
    """Puts a card in place of an audit, and remembers what was asked."""
    requests: list[AuditRequest] = []

    def steps(request: AuditRequest) -> Generator[Pulse, None, Any]:
        requests.append(request)
        yield Pulse("attacking")
        return SimpleNamespace(card=CARD)

    monkeypatch.setattr("claf_engine.reproduce.auditing.audit_steps", steps)
    return requests


@pytest.fixture
def subject(reproduced: Reproduced) -> Subject:
    return candidates_of(list_runs(reproduced.root)[0].directory, TABLES["table4"].rows[0])[0]


def audited(root: Path, subject: Subject, space: Any = "pixel") -> Audited:
    return exhaust(audited_steps(root, subject, space, ("claf-tui",)))[1]  # type: ignore[arg-type]


def test_a_verdict_says_what_failed_and_what_warned(
    tmp_path: Path, subject: Subject, asked: list[AuditRequest]
) -> None:
    assert audited(tmp_path, subject) == FOUND
    [request] = asked
    assert (request.checkpoint, request.classifier, request.budget) == (subject.checkpoint, "natural", "quick")


def test_a_network_is_audited_once_in_each_space(tmp_path: Path, subject: Subject, asked: list[AuditRequest]) -> None:
    assert [audited(tmp_path, subject) for _ in range(2)] == [FOUND, FOUND]
    audited(tmp_path, subject, "released-code")
    assert [request.space for request in asked] == ["pixel", "released-code"]


@pytest.mark.parametrize("damage", ["{}", "no json", '{"verdict": "splendid"}'])
def test_a_damaged_verdict_is_found_again(
    tmp_path: Path, subject: Subject, asked: list[AuditRequest], damage: str
) -> None:
    audited(tmp_path, subject)
    [file] = (tmp_path / "measurements").iterdir()
    file.write_text(damage)
    assert audited(tmp_path, subject) == FOUND
    assert len(asked) == 2


def test_the_gravest_verdict_counts() -> None:
    assert worst(["passes", "fails", "warns"]) == "fails"
    assert worst(["not-run", "passes"]) == "passes"
    assert worst([]) is None
