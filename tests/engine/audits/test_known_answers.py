from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import CHECKS
from claf_engine.audits.examine import Examination, examine_steps
from claf_engine.audits.store import Store
from claf_engine.events.audit import DiagnosticFound
from tests.engine.audits import fixtures


def examine(bench: Bench) -> tuple[dict[str, str], Examination]:
    """The verdict of every check, by name, and all that was found."""
    steps, verdicts = examine_steps(bench.subject, bench.budget, CHECKS, Store(None, "")), {}
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            return verdicts, stop.value
        if isinstance(item, DiagnosticFound):
            verdicts[item.name] = item.verdict


def test_an_adversarially_trained_network_passes_every_diagnostic_that_applies_to_it() -> None:
    bench = fixtures.bench_of(
        fixtures.robust(),
        fixtures.images_of(100),
        network=fixtures.robust_network(),
        classifier=fixtures.ADVERSARIAL,
        train=fixtures.images_of(400, seed=1),
        surrogate=fixtures.undefended(),
    )
    verdicts, _ = examine(bench)
    assert set(verdicts) == {check.name for check in CHECKS}
    assert {name for name, verdict in verdicts.items() if verdict != "passes"} == {"too-good"}
    assert verdicts["too-good"] == "not-run"


def test_an_undefended_network_keeps_nothing_at_8_255_and_no_attack_is_at_fault() -> None:
    verdicts, found = examine(fixtures.bench_of(fixtures.undefended(), fixtures.images_of(60)))
    assert not found.worst_case.any()
    assert "fails" not in verdicts.values()


def test_a_layer_that_kills_gradients_does_not_get_through() -> None:
    model = fixtures.gradient_killed(fixtures.robust())
    bench = fixtures.bench_of(model, fixtures.images_of(60), surrogate=fixtures.robust())
    verdicts, _ = examine(bench)
    assert {"zero-gradients", "square", "transfer"} <= {name for name in verdicts if verdicts[name] == "fails"}
