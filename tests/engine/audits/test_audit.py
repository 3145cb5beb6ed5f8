import json
import re
import shutil
from collections.abc import Callable, Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from claf_engine.audits import audit as audit_module
from claf_engine.audits.audit import AuditReport, audit_steps, budget_of, earlier_checkpoints
from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import transfer
from claf_engine.audits.diagnostic import Check, Finding
from claf_engine.audits.request import AuditRequest
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.evaluation.cards import find_card, home_of
from claf_engine.evaluation.defences import parse_defence
from claf_engine.evaluation.evaluate import evaluate
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.ticks import Pulse
from claf_engine.runs import list_checkpoints
from claf_engine.terms.errors import CheckpointError, ConfigError, DataError
from tests.engine.tiny import exhaust, finished_run, tiny_config, tiny_data, use_tiny_data

Items = list[Pulse | DiagnosticFound]
CONFIG = tiny_config(method="natural", probe={"every_epochs": 0}, evaluation={"steps": 10, "num_examples": 4})
RELEASED = CONFIG.model_copy(
    update={"evaluation": CONFIG.evaluation.model_copy(update={"space": "released-code", "epsilons": ()})}
)


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


def trained(folder: Path, config: RunConfig) -> Path:
    """The last checkpoint of a whole run."""
    return list_checkpoints(finished_run(folder, config).path)[0].path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a pixel run."""
    return trained(tmp_path_factory.mktemp("runs"), CONFIG)


@pytest.fixture
def checkpoint(original: Path, tmp_path: Path) -> Path:
    """The same in a run of its own, in which nobody has audited yet."""
    shutil.copytree(original.parent.parent, tmp_path / "run")
    return tmp_path / "run" / "checkpoints" / original.name


def check(name: str, verdict: Any = "passes", steps: int = 1) -> Check:
    """A cheap check that attacks with so many steps."""

    def run(bench: Bench) -> Generator[Pulse, None, Finding]:
        outcome = yield from bench.attack(steps=steps)
        return Finding(verdict, "figure", {"accuracy": outcome.accuracy, "pair": (1, 2)})

    return Check(name, "title", "threshold", "meaning", "source", run)


@pytest.fixture
def use_checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts other diagnostics in place of all."""
    return lambda *checks: monkeypatch.setattr("claf_engine.audits.audit.CHECKS", checks)


def audit(checkpoint: Path, **options: Any) -> tuple[Items, AuditReport]:
    found: tuple[Any, AuditReport] = exhaust(audit_steps(AuditRequest(checkpoint, device="cpu", **options)))  # type: ignore[arg-type]
    return found


def without_clock(report: AuditReport) -> dict[str, Any]:
    """The record, but for what differs from one audit to the next."""
    record = json.loads(json.dumps(report.to_record()))
    for key in ("date", "seconds", "notices"):
        del record[key]
    for item in record["diagnostics"]:
        del item["seconds"]
    return record  # type: ignore[no-any-return]


def test_a_report_is_a_json_object_with_the_card_and_the_diagnostics(
    checkpoint: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(check("a"), check("b", "warns", 2))
    _, report = audit(checkpoint, command=("/x/claf-tui", "audit", "run"))
    record = json.loads(json.dumps(report.to_record()))
    assert [(item["name"], item["verdict"], item["figure"]) for item in record["diagnostics"]] == [
        ("a", "passes", "figure"),
        ("b", "warns", "figure"),
    ]
    assert (record["verdict"], report.verdict) == ("warns", "warns")
    assert (record["method"], record["classifier"], record["data"]) == ("natural", "natural", "tiny")
    assert (record["command"], record["budget"], record["num_examples"]) == ("claf-tui audit run", "quick", 16)
    assert len(record["weights_sha256"]) == len(record["config_sha256"]) == 64
    assert [item["label"] for item in record["attacks"]] == [
        "PGD-1 at 8/255, step 20/255, 1 start",
        "PGD-2 at 8/255, step 10/255, 1 start",
    ]


def test_the_card_lies_beside_the_checkpoint_and_is_found_by_its_weights(
    checkpoint: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(check("a"))
    _, report = audit(checkpoint)
    folder = checkpoint.parent.parent / "audit" / f"{checkpoint.stem}-natural-8-255-pixel-quick"
    assert report.folder == folder
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "card.md", "state.json"]
    card = json.loads((folder / "card.json").read_bytes())
    assert {**card, "folder": str(folder)} == report.to_record()
    assert find_card(home_of(checkpoint), card["weights_sha256"], "natural", "pixel", ["8/255"]) == card


def test_an_interrupted_audit_goes_on_and_reports_the_same(
    checkpoint: Path, original: Path, tmp_path: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(check("a", "warns"), check("b", "passes", 2), check("c", "fails", 3))
    whole = without_clock(audit(checkpoint)[1])
    shutil.rmtree(checkpoint.parent.parent / "audit")
    steps = audit_steps(AuditRequest(checkpoint, device="cpu"))
    assert any(isinstance(item, DiagnosticFound) and item.name == "b" for item in steps)
    steps.close()
    items, resumed = audit(checkpoint)
    assert {item.activity for item in items if isinstance(item, Pulse)} >= {"PGD-3 at 8/255"}
    assert not {item.activity for item in items if isinstance(item, Pulse)} & {"PGD-1 at 8/255", "PGD-2 at 8/255"}
    assert without_clock(resumed) == whole
    assert any(notice.startswith("went on from what ") for notice in resumed.card["notices"])


@pytest.mark.parametrize("options", [{"seed": 1}, {"num_examples": 8}])
def test_an_audit_of_something_else_begins_anew_and_says_so(
    checkpoint: Path, use_checks: Callable[..., None], options: dict[str, Any]
) -> None:
    use_checks(check("a"))
    audit(checkpoint)
    items, report = audit(checkpoint, **options)
    assert "PGD-1 at 8/255" in {item.activity for item in items if isinstance(item, Pulse)}
    assert any(notice.startswith("began anew: ") for notice in report.card["notices"])


def test_a_check_that_raises_is_not_run_and_the_audit_does_not_pass_by_it(
    checkpoint: Path, use_checks: Callable[..., None]
) -> None:
    def run(bench: Bench) -> Generator[Pulse, None, Finding]:
        yield Pulse("breaking")
        raise RuntimeError("broken")

    use_checks(replace(check("a"), run=run))
    _, report = audit(checkpoint)
    assert (report.diagnostics[0].verdict, report.verdict) == ("not-run", "not-run")


def test_an_audit_is_of_the_space_in_which_the_run_reported_unless_told_otherwise(
    tmp_path: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(check("a"))
    checkpoint = trained(tmp_path, RELEASED)
    assert audit(checkpoint)[1].card["space"] == "released-code"
    pixel = audit(checkpoint, space="pixel")[1].card
    assert pixel["space"] == "pixel"
    assert "the run reported its figures in released-code space; this audit is of pixel" in pixel["notices"]


def test_the_first_number_of_steps_is_that_of_the_runs_own_figure() -> None:
    def steps(claimed: int) -> tuple[int, ...]:
        evaluation = CONFIG.evaluation.model_copy(update={"steps": claimed})
        return budget_of(AuditRequest(Path("x")), CONFIG.model_copy(update={"evaluation": evaluation})).steps

    assert (steps(10), steps(7), steps(20), steps(40)) == ((10, 40), (7, 10, 40), (20, 40), (40, 80))


def test_where_nothing_can_be_written_the_audit_is_told_but_not_kept(
    checkpoint: Path, use_checks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_checks(check("a"))
    monkeypatch.setattr("claf_engine.audits.audit.os.access", lambda *_: False)
    _, report = audit(checkpoint)
    assert (report.folder, report.to_record()["folder"]) == (None, None)
    assert not (checkpoint.parent.parent / "audit").exists()
    assert any("cannot be written" in notice for notice in report.card["notices"])


def test_a_card_that_cannot_be_written_costs_no_verdict(
    checkpoint: Path, use_checks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    use_checks(check("a"))
    monkeypatch.setattr("claf_engine.audits.audit.write_card", refuse)
    _, report = audit(checkpoint)
    assert report.verdict == "passes"
    assert any("No space left on device" in notice for notice in report.card["notices"])


def test_a_radius_of_0_is_refused_with_the_fix() -> None:
    with pytest.raises(ConfigError, match=re.escape("epsilon 0 has none; use --eps 8/255")):
        AuditRequest(Path("x"), epsilon=Fraction(0))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"classifier": "adversarial"}, CheckpointError),
        ({"data": "nonsense"}, ConfigError),
        ({"surrogate": Path("missing.safetensors")}, CheckpointError),
    ],
)
def test_what_cannot_be_audited_is_refused(checkpoint: Path, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        audit(checkpoint, **options)


def test_images_of_other_classes_are_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*_: object) -> Generator[Pulse, None, Any]:
        yield Pulse("drawing")
        from tests.engine.tiny import tiny_data

        return replace(tiny_data(), class_names=("a", "b", "c", "d"))

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    with pytest.raises(DataError, match="was trained on classes"):
        audit(checkpoint, data="cifar10")


def test_an_evaluation_after_an_audit_stands_as_audited_and_before_it_as_evaluated(
    checkpoint: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(check("a", "fails"))
    request = EvaluationRequest(checkpoint, epsilons=(Fraction(8, 255),), steps=2, device="cpu")
    assert evaluate(request).audit == "evaluated"
    audit(checkpoint)
    assert evaluate(request).audit == "audit fails"
    assert evaluate(replace(request, space="released-code")).audit == "evaluated"


@pytest.mark.slow
def test_every_diagnostic_runs_on_a_whole_tiny_run(checkpoint: Path) -> None:
    _, report = audit(checkpoint)
    broken = [item for item in report.diagnostics if item.figure.startswith("broke off")]
    assert broken == []
    verdicts = {item.name: item.verdict for item in report.diagnostics}
    assert all(verdicts[name] == "passes" for name in ("epsilon-zero", "distance", "deterministic-forward", "logits"))
    counting = [item["robust_accuracy"] for item in report.card["attacks"] if item["counts"]]
    assert report.card["worst_case"]["num_attacks"] == len(counting) > 10
    assert report.card["worst_case"]["accuracy"] <= min(counting)
    assert all(item["attack"] for item in report.card["attacks"])


@pytest.mark.slow
def test_a_run_of_the_released_code_fails_at_least_epsilon_zero_and_distance(tmp_path: Path) -> None:
    _, report = audit(trained(tmp_path, RELEASED))
    verdicts = {item.name: item.verdict for item in report.diagnostics}
    assert (verdicts["epsilon-zero"], verdicts["distance"], report.verdict) == ("fails", "fails", "fails")
    assert report.card["worst_case"]["is_epsilon_ball"] is False


def test_without_training_images_what_needs_them_is_not_run_and_the_rest_is(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_data()
    empty = Split(data.train.images[:0], data.train.labels[:0])

    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing tiny images")
        return replace(data, train=empty)

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    _, report = audit(checkpoint, accepts_changed_data=True)
    verdicts = {found.name: (found.verdict, found.figure) for found in report.diagnostics}
    lacking = [name for name, (verdict, reason) in verdicts.items() if "needs training images" in reason]
    assert lacking
    assert all(verdicts[name][0] == "not-run" for name in lacking)
    assert verdicts["epsilon-zero"][0] == "passes"


def transferred(report: AuditReport) -> DiagnosticFound:
    return next(item for item in report.diagnostics if item.name == "transfer")


def test_an_earlier_checkpoint_of_the_run_is_the_second_network_of_a_quick_audit(
    checkpoint: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(*transfer.CHECKS)
    last, first = list_checkpoints(home_of(checkpoint))
    assert earlier_checkpoints(last.path, 6) == (first.path,)
    found = transferred(audit(checkpoint)[1])
    assert found.verdict != "not-run" or "the second model is right about" in found.figure
    assert found.values.get("surrogate", first.path.name).endswith(first.path.name)


def test_without_an_earlier_checkpoint_transfer_is_not_run_and_says_so(
    checkpoint: Path, use_checks: Callable[..., None]
) -> None:
    use_checks(*transfer.CHECKS)
    list_checkpoints(home_of(checkpoint))[1].path.unlink()
    found = transferred(audit(checkpoint)[1])
    assert found.verdict == "not-run"
    assert "there is no earlier checkpoint of the run: give one with --surrogate" in found.figure


def test_an_earlier_checkpoint_that_is_damaged_is_none(checkpoint: Path, use_checks: Callable[..., None]) -> None:
    use_checks(*transfer.CHECKS)
    list_checkpoints(home_of(checkpoint))[1].path.write_bytes(b"damaged")
    assert "there is no earlier checkpoint" in transferred(audit(checkpoint)[1]).figure


def test_a_checkpoint_that_is_nearly_the_audited_one_is_no_second_network(checkpoint: Path) -> None:
    _, first = list_checkpoints(home_of(checkpoint))
    assert first.info is not None
    assert earlier_checkpoints(checkpoint, first.info.step + 1) == ()


def test_a_checkpoint_outside_of_a_run_has_no_earlier_one(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoint, tmp_path / checkpoint.name)
    assert earlier_checkpoints(tmp_path / checkpoint.name, 6) == ()


def test_what_is_audited_behind_a_defence_is_no_word_on_the_classifier_alone(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.audits.audit.CHECKS", (check("cheap"),))
    alone = exhaust(audit_steps(AuditRequest(checkpoint)))[1]
    guarded = exhaust(audit_steps(AuditRequest(checkpoint, defence=parse_defence("bit-depth:1"))))[1]
    assert guarded.card["defence"] == "bit-depth:1"
    assert "defence" not in alone.card
    assert any("behind the defence bit-depth:1" in text for text in guarded.card["notices"])
    assert guarded.folder != alone.folder
    found = find_card(home_of(checkpoint), alone.card["weights_sha256"], alone.card["classifier"])
    assert found == alone.card


def test_a_defence_has_no_encoder_of_its_own(checkpoint: Path) -> None:
    whole = exhaust(audit_module._open_steps(AuditRequest(checkpoint)))[1]
    guarded = exhaust(audit_module._open_steps(AuditRequest(checkpoint, defence=parse_defence("median:2"))))[1]
    assert whole.network is not None
    assert guarded.network is None
    assert "median:2" in repr(guarded.model)
