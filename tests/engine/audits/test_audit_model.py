from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.audits.audit import AuditReport, AuditRequest, audit_checkpoint
from claf_engine.audits.checks import classifiers, features, forward
from claf_engine.evaluation.model_source import ModelSource
from tests.engine.tiny import use_tiny_data
from tests.models import name_of
from tests.plugins import registries_restored


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_tiny_data(monkeypatch)
    monkeypatch.setattr("claf_engine.audits.audit.CHECKS", (*forward.CHECKS, *features.CHECKS, *classifiers.CHECKS))
    with registries_restored():
        yield


@pytest.fixture
def report(tmp_path: Path) -> AuditReport:
    source = ModelSource(name_of(tmp_path))
    return audit_checkpoint(AuditRequest(source.place, num_examples=4, data="shapes", device="cpu", source=source))


def test_what_needs_an_encoder_is_not_run_of_a_model_and_says_why(report: AuditReport) -> None:
    without = {each.name: each.figure for each in report.diagnostics if each.verdict == "not-run"}
    reason = "needs an encoder to attack the features of, and this model is not a network of ours"
    assert without["feature-attacks"] == without["refitted-classifiers"] == reason
    assert next(each.verdict for each in report.diagnostics if each.name == "eval-mode") == "passes"


def test_the_card_of_a_model_lies_beside_its_file(report: AuditReport, tmp_path: Path) -> None:
    assert report.folder == tmp_path / "audit" / "net-build-8-255-pixel-quick"
    assert report.card["run"] == "net.py:build"
    assert (report.folder / "card.md").is_file()
