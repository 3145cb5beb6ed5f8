from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.evaluation.subject import require_trained
from claf_engine.events import RunFinished, TestResult
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, CLASSIFIERS, NATURAL
from claf_engine.runs import RunDirectory, create_run, list_checkpoints
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError
from claf_engine.training import saving
from claf_engine.training.checkpoint import checkpoint_path, load_trained_network
from claf_engine.training.methods import phases_of
from claf_engine.training.results import (
    Candidate,
    best_checkpoint,
    candidate_of,
    candidates,
    last_candidates,
    select,
)
from claf_engine.training.session import Session
from claf_engine.training.state import Cursor
from tests.engine.tiny import play, tiny_config, tiny_session, use_tiny_data

CONFIG = tiny_config()
PHASES = phases_of(CONFIG)
WEIGHT = "encoder.stem.weight"


@pytest.fixture
def session() -> Session:
    """At the end of a run, with every classifier measured."""
    session = tiny_session(CONFIG)
    session.state.cursor.step = 27
    figures = {ATTACK_CLASSIFIER: 0.4, NATURAL: 0.1, ADVERSARIAL: 0.3}
    session.state.ledger.validation = {name: {"natural": 0.9, "robust": robust} for name, robust in figures.items()}
    return session


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    owned = create_run(tmp_path, "tiny", CONFIG, [])
    yield owned
    owned.close()


def save(directory: RunDirectory, step: int, robust: float, phase: int = 1) -> None:
    """A checkpoint of another state of the network than the last."""
    session = tiny_session(tiny_config(seed=1))
    session.state.cursor.step = step
    classifier = PHASES[phase].classifier
    assert classifier is not None
    session.state.ledger.validation = {classifier: {"natural": 0.8, "robust": robust}}
    saving.save(session, directory, PHASES[phase], 0, requested=False)


def last(session: Session, **changes: object) -> list[tuple[str, str, float]]:
    found = last_candidates(session, phases_of(tiny_config(**changes)))
    return [(candidate.checkpoint, candidate.classifier, candidate.validation) for candidate in found]


def test_a_finished_run_reports_the_classifiers_of_linear_evaluation(session: Session) -> None:
    assert last(session) == [("last", NATURAL, 0.1), ("last", ADVERSARIAL, 0.3)]


def test_without_an_adversarial_classifier_only_the_natural_one_is_reported(session: Session) -> None:
    assert last(session, linear_evaluation__adversarial_epochs=0) == [("last", NATURAL, 0.1)]


def test_without_linear_evaluation_the_attack_classifier_is_reported(session: Session) -> None:
    changes = {"linear_evaluation__epochs": 0, "linear_evaluation__adversarial_epochs": 0}
    assert last(session, **changes) == [("last", ATTACK_CLASSIFIER, 0.4)]


def test_the_natural_method_reports_its_classifier(session: Session) -> None:
    assert last(session, method="natural") == [("last", NATURAL, 0.1)]


def test_a_run_of_stage_1_alone_has_no_classifier_to_report(session: Session) -> None:
    nothing_else = {"adversarial__epochs": 0, "linear_evaluation": {"epochs": 0, "adversarial_epochs": 0}}
    assert last(session, **nothing_else) == []


def test_a_candidate_is_the_network_of_the_last_state_with_its_classifier(session: Session) -> None:
    candidate = last_candidates(session, PHASES)[0]
    image = torch.full((1, 3, 8, 8), 0.5)
    network = session.state.network.eval()
    assert torch.equal(candidate.model(image), network.with_classifier(NATURAL)(image))


def test_the_best_checkpoint_is_a_candidate_with_its_own_weights(session: Session, directory: RunDirectory) -> None:
    for step, robust in ((12, 0.45), (18, 0.4)):
        save(directory, step, robust)
    path = best_checkpoint(session, PHASES, directory)
    assert path is not None
    best = candidate_of(session, path)
    assert (best.checkpoint, best.classifier, best.validation) == ("best", ATTACK_CLASSIFIER, 0.45)
    expected = tiny_session(tiny_config(seed=1)).state.network.state_dict()[WEIGHT]
    assert torch.equal(best.model.state_dict()[WEIGHT], expected)
    assert not torch.equal(session.state.network.state_dict()[WEIGHT], expected)


def test_without_checkpoints_there_is_no_best_one(session: Session, directory: RunDirectory) -> None:
    assert best_checkpoint(session, PHASES, directory) is None


def test_the_best_checkpoint_is_not_reported_twice_when_it_is_the_last(
    session: Session, directory: RunDirectory
) -> None:
    save(directory, 12, 0.2)
    save(directory, 27, 0.4)
    assert best_checkpoint(session, PHASES, directory) is None


def test_the_best_checkpoint_is_not_reported_twice_when_it_is_of_a_frozen_encoder(
    session: Session, directory: RunDirectory
) -> None:
    save(directory, 12, 0.2)
    save(directory, 24, 0.4, phase=2)
    assert best_checkpoint(session, PHASES, directory) is None


def test_the_candidates_are_those_of_the_last_state_and_then_the_best_checkpoint(
    session: Session, directory: RunDirectory
) -> None:
    save(directory, 12, 0.45)
    found, notices = candidates(session, PHASES, directory)
    assert [(candidate.checkpoint, candidate.classifier) for candidate in found] == [
        ("last", NATURAL),
        ("last", ADVERSARIAL),
        ("best", ATTACK_CLASSIFIER),
    ]
    assert notices == []


@pytest.fixture
def damaged(directory: RunDirectory) -> RunDirectory:
    """A run whose best checkpoint has a good header and a flipped bit in its tensors."""
    save(directory, 12, 0.45)
    path = checkpoint_path(directory.checkpoints, 12)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return directory


def test_a_best_checkpoint_that_is_damaged_is_an_error(session: Session, damaged: RunDirectory) -> None:
    path = best_checkpoint(session, PHASES, damaged)
    assert path is not None
    with pytest.raises(CheckpointError, match="altered or damaged"):
        candidate_of(session, path)


def test_a_damaged_best_checkpoint_does_not_keep_the_last_state_from_being_reported(
    session: Session, damaged: RunDirectory
) -> None:
    found, notices = candidates(session, PHASES, damaged)
    assert [candidate.checkpoint for candidate in found] == ["last", "last"]
    assert len(notices) == 1
    assert notices[0].startswith("the best checkpoint is left out of the test: ")


def selected(*validation: float) -> list[bool]:
    found = [Candidate("last", NATURAL, torch.nn.Identity(), figure, "ab") for figure in validation]
    results = [TestResult("last", NATURAL, 0.9, (), selected=False) for _ in found]
    return [result.selected for result in select(results, found)]


def test_the_result_with_the_highest_validation_robust_accuracy_is_selected() -> None:
    assert selected(0.2, 0.5, 0.4) == [False, True, False]


def test_in_a_tie_the_first_result_is_selected() -> None:
    assert selected(0.2, 0.5, 0.5) == [False, True, False]


def test_of_one_result_that_one_is_selected_though_nothing_is_robust() -> None:
    assert selected(0.0) == [True]


def test_of_no_results_none_is_selected() -> None:
    assert selected() == []


def test_selection_keeps_the_figures() -> None:
    found = [Candidate("best", ATTACK_CLASSIFIER, torch.nn.Identity(), 0.5, "ab")]
    (result,) = select([TestResult("best", ATTACK_CLASSIFIER, 0.9, (), selected=False)], found)
    assert result == TestResult("best", ATTACK_CLASSIFIER, 0.9, (), selected=True)


METHODS = [
    ("claf", {}, {NATURAL, ADVERSARIAL}, {ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL}),
    ("scl", {}, {NATURAL, ADVERSARIAL}, {NATURAL, ADVERSARIAL}),
    ("natural", {}, {NATURAL}, {NATURAL}),
    ("at", {}, {ADVERSARIAL}, {ADVERSARIAL}),
    ("fgsm", {}, {ADVERSARIAL}, {ADVERSARIAL}),
    ("trades", {}, {ADVERSARIAL}, {ADVERSARIAL}),
    ("alp", {}, {ADVERSARIAL}, {ADVERSARIAL}),
    ("clp", {}, {NATURAL}, {NATURAL}),
    ("two-encoders", {}, {ADVERSARIAL}, {ADVERSARIAL}),
    ("rocl", {"head": "linear", "epochs": 1}, {NATURAL}, {NATURAL}),
    ("rocl", {"head": "robust-linear", "epochs": 1}, {ADVERSARIAL}, {ADVERSARIAL}),
    ("rocl", {"head": "fine-tune", "epochs": 1}, {ADVERSARIAL}, {ADVERSARIAL}),
]
"""Method, its settings, the classifiers it reports of the last state, and those it trains."""


@pytest.mark.parametrize(("method", "rocl", "reported", "trained"), METHODS)
def test_a_run_reports_its_methods_last_classifiers_and_its_checkpoint_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    rocl: dict[str, Any],
    reported: set[str],
    trained: set[str],
) -> None:
    use_tiny_data(monkeypatch)
    config = tiny_config(method=method, rocl=rocl, contrastive__epochs=1, adversarial__epochs=1)
    owned = create_run(tmp_path, "tiny", config, [])
    finished = play(owned)[-1]
    assert isinstance(finished, RunFinished)
    assert {result.classifier for result in finished.results if result.checkpoint == "last"} == reported
    assert sum(result.selected for result in finished.results) == 1
    assert all([figure.steps for figure in result.robust] == [2, 10, 2, 20] for result in finished.results)
    info, loaded, _ = load_trained_network(list_checkpoints(owned.path)[0].path)
    for classifier in CLASSIFIERS:
        if classifier in trained:
            require_trained(info, loaded, classifier)
        else:
            with pytest.raises(CheckpointError, match=f"the {classifier} classifier of .* is untrained: its run"):
                require_trained(info, loaded, classifier)


def test_a_method_that_trains_everything_at_once_reports_its_best_checkpoint_too(
    session: Session, directory: RunDirectory
) -> None:
    phases = phases_of(tiny_config(method="trades"))
    saved = tiny_session(tiny_config(seed=1))
    saved.state.cursor.step = 12
    saved.state.ledger.validation = {ADVERSARIAL: {"natural": 0.8, "robust": 0.45}}
    saving.save(saved, directory, phases[0], 0, requested=False)
    found, _ = candidates(session, phases, directory)
    assert [(item.checkpoint, item.classifier, item.validation) for item in found] == [
        ("last", ADVERSARIAL, 0.3),
        ("best", ADVERSARIAL, 0.45),
    ]


def info_at(**cursor: int) -> CheckpointInfo:
    """The header of a checkpoint of this place in the tiny run of CLAF."""
    place = asdict(Cursor(**cursor))
    metadata = {"claf.cursor": place}
    return CheckpointInfo(Path("/r/step-1.safetensors"), "r", 1, "phase", 1, {}, ATTACK_CLASSIFIER, "", 0, (), metadata)


@pytest.mark.parametrize(
    ("cursor", "trained"),
    [
        ({}, set()),
        ({"epoch": 1}, set()),
        ({"phase": 1}, set()),
        ({"phase": 1, "batch": 1}, {ATTACK_CLASSIFIER}),
        ({"phase": 1, "sweep": 1}, {ATTACK_CLASSIFIER}),
        ({"phase": 1, "part": 1}, {ATTACK_CLASSIFIER}),
        ({"phase": 1, "epoch": 1}, {ATTACK_CLASSIFIER}),
        ({"phase": 2}, {ATTACK_CLASSIFIER}),
        ({"phase": 2, "epoch": 1}, {ATTACK_CLASSIFIER, NATURAL}),
        ({"phase": 3, "batch": 2}, {ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL}),
        ({"phase": 4}, {ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL}),
    ],
)
def test_a_classifier_counts_as_trained_from_the_first_step_of_its_phase(
    cursor: dict[str, int], trained: set[str]
) -> None:
    for classifier in CLASSIFIERS:
        if classifier in trained:
            require_trained(info_at(**cursor), CONFIG, classifier)
        else:
            with pytest.raises(CheckpointError, match="saved in phase 'phase', too early; choose a later checkpoint"):
                require_trained(info_at(**cursor), CONFIG, classifier)


def test_a_checkpoint_that_does_not_say_how_far_it_is_is_refused() -> None:
    info = replace(info_at(), metadata={})
    with pytest.raises(CheckpointError, match="does not say how far its run had come"):
        require_trained(info, CONFIG, NATURAL)


def test_an_imported_network_has_the_classifiers_it_was_imported_with() -> None:
    info = replace(info_at(), metadata={"claf.trained_classifiers": [NATURAL]})
    require_trained(info, CONFIG, NATURAL)
    with pytest.raises(
        CheckpointError, match=r"attack classifier of step-1.* is untrained: it was imported with natural$"
    ):
        require_trained(info, CONFIG, ATTACK_CLASSIFIER)
