"""The library's `audit`: the diagnostics of an audit on any network in memory."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from claf_engine.audits import any_model
from claf_engine.audits.any_model import ModelAudit, audit
from claf_engine.audits.checks import CHECKS
from claf_engine.data import to_pixels
from claf_engine.events.audit import DiagnosticFound
from claf_engine.terms.errors import ConfigError, DataError
from tests.engine.audits import fixtures

SPLIT = fixtures.images_of(60)
IMAGES, LABELS = to_pixels(SPLIT.images), SPLIT.labels


@pytest.fixture(autouse=True)
def _small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many steps, draws and queries as a test can afford."""
    monkeypatch.setattr(
        any_model,
        "budget_for",
        lambda name, steps, num_examples: replace(
            fixtures.BUDGET, name=name, steps=(steps, 2 * steps), num_examples=num_examples
        ),
    )


def verdicts(found: ModelAudit) -> dict[str, str]:
    return {diagnostic.name: diagnostic.verdict for diagnostic in found.diagnostics}


def test_a_robust_network_that_is_none_of_ours_fails_nothing() -> None:
    found = audit(fixtures.robust_linear(), IMAGES, LABELS)
    assert set(verdicts(found)) == {check.name for check in CHECKS}
    assert "fails" not in verdicts(found).values()
    exact = fixtures.linear_robust_accuracy(fixtures.robust_linear(), SPLIT, fixtures.EPSILON)
    assert found.worst_case == pytest.approx(exact)
    assert found.natural >= found.worst_case
    assert found.survives.double().mean() == found.worst_case


def test_a_network_that_hides_its_gradients_fails() -> None:
    found = audit(fixtures.gradient_killed(fixtures.undefended()), IMAGES, LABELS, surrogate=fixtures.undefended())
    assert found.verdict == "fails"
    assert {"zero-gradients", "transfer"} <= {name for name, verdict in verdicts(found).items() if verdict == "fails"}


def test_what_needs_an_encoder_of_ours_says_that_it_was_not_run() -> None:
    found = {diagnostic.name: diagnostic for diagnostic in audit(fixtures.robust_linear(), IMAGES, LABELS).diagnostics}
    waiting = [name for name, diagnostic in found.items() if "encoder" in diagnostic.figure]
    assert waiting
    assert {found[name].verdict for name in waiting} == {"not-run"}


def test_diagnostics_are_told_one_by_one() -> None:
    told: list[DiagnosticFound] = []
    found = audit(fixtures.robust_linear(), IMAGES, LABELS, tell=told.append)
    assert tuple(told) == found.diagnostics


def test_the_network_and_the_process_stay_as_they_were() -> None:
    model = fixtures.robust()
    model.train()
    before = torch.get_rng_state(), torch.get_num_threads(), [tensor.clone() for tensor in model.state_dict().values()]
    audit(model, IMAGES[:20], LABELS[:20])
    assert model.training
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    for now, then in zip(model.state_dict().values(), before[2], strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eps": 0}, "epsilon 0 has none"),
        ({"eps": "300/255"}, "is above 1"),
        ({"budget": "huge"}, "budget='huge' is unknown"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        audit(fixtures.robust_linear(), IMAGES, LABELS, **options)  # type: ignore[arg-type]


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        audit(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), IMAGES * 2, LABELS)
