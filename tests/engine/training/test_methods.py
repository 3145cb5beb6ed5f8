import random
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from claf_engine import events as ev
from claf_engine.config import RunConfig, registry
from claf_engine.events import PhasePlan
from claf_engine.events.ticks import Boundary, Pulse
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.models.residual import Encoder
from claf_engine.runs import create_run, list_checkpoints, open_run
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import Method
from claf_engine.training.costs import FEATURES_COST, GENERATOR_COST, Part
from claf_engine.training.methods import METHODS, feature_epochs, phases_of, reported_classifiers
from claf_engine.training.phase import Phase
from claf_engine.training.progress import num_tests
from claf_engine.training.session import Session
from tests.engine.tiny import play, tiny_config, tiny_session, use_tiny_data
from tests.engine.training.test_run import leave, outcome

CLAF = ["contrastive", "adversarial", "linear_evaluation", "adversarial_linear_evaluation"]

TABLE = {
    "claf": dict(zip(CLAF, [None, ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL], strict=True)),
    "scl": {"contrastive": None, "linear_evaluation": NATURAL, "adversarial_linear_evaluation": ADVERSARIAL},
    "natural": {"supervised": NATURAL},
    "at": {"supervised": ADVERSARIAL},
    "fgsm": {"supervised": ADVERSARIAL},
    "trades": {"supervised": ADVERSARIAL},
    "alp": {"supervised": ADVERSARIAL},
    "rocl": {"instance": None, "supervised": ADVERSARIAL},
    "acl": {"adversarial_contrastive": None, "supervised": ADVERSARIAL},
    "clp": {"supervised": NATURAL},
    "two-encoders": {"two_encoders": ADVERSARIAL},
    "rectifier": dict.fromkeys(("supervised", "universal", "rectifier", "detector"), NATURAL),
    "defense-gan": {"generator": None, "supervised": NATURAL},
    "pretext": {"pretext": None, "supervised": ADVERSARIAL},
    "union": {"supervised": ADVERSARIAL},
}
"""The phases of each method, and the classifier that each of them is probed with."""

VARIANTS = {
    **{method: {"method": method} for method in METHODS},
    "rocl linear": {"method": "rocl", "rocl__head": "linear"},
    "rocl robust linear": {"method": "rocl", "rocl__head": "robust-linear"},
    "rocl lars": {
        "method": "rocl",
        "features_optimizer": {"name": "lars", "learning_rate": 1.5, "warmup_epochs": 0.5, "weight_decay": 1e-6},
    },
    "simclr": {"method": "scl", "contrastive__positives": "views"},
    "union max": {"method": "union", "union__strategy": "max", "checkpoint__every_steps": 2},
    "union avg": {"method": "union", "union__strategy": "avg", "union__norms": ["l2", "l1"]},
    "at batch": {"method": "at", "supervised": {"epochs": 2, "attack_batch_norm": "batch", "view": "crop"}},
    "trades l2": {"method": "trades", "attack": {"norm": "l2", "epsilon": "0.5", "step_size": "0.1"}},
    "claf replay": {
        "adversarial": {"epochs": 2, "classifier_epochs": 3, "classifier_refresh": "replay", "replay_passes": 2}
    },
    "claf fraction": {"adversarial": {"epochs": 2, "classifier_epochs": 2, "classifier_fraction": 0.4}},
    "claf warm start": {"attack__warm_start": True},
    "claf averaged": {"averaging__decay": 0.9},
    "rectifier averaged": {"method": "rectifier", "averaging__decay": 0.9, "checkpoint__every_steps": 1},
    "pretext natural jigsaw": {"method": "pretext", "pretext": {"epochs": 2, "task": "jigsaw", "images": "natural"}},
    "pretext selfie": {"method": "pretext", "pretext": {"epochs": 2, "task": "selfie"}, "checkpoint__every_steps": 2},
    "pretext linear": {"method": "pretext", "pretext__head": "linear"},
    "pretext robust linear": {"method": "pretext", "pretext__head": "robust-linear"},
    "at rotation": {
        "method": "at",
        "objective": {"rotation_weight": 0.5, "rotation_in_attack": True},
        "checkpoint__every_steps": 2,
    },
    "rocl averaged": {"method": "rocl", "averaging__decay": 0.9, "checkpoint__every_steps": 2},
    "nuat contrast": {
        "method": "fgsm",
        "attack__start": "bernoulli",
        "averaging__decay": 0.9,
        "objective": {"nuclear_weight": 4.0, "cross_entropy": "natural", "contrast_weight": 0.2},
    },
    "at terms": {
        "method": "at",
        "averaging__decay": 0.9,
        "model__logits": "cosine",
        "objective": {"nuclear_weight": 1.0, "label_smoothing": 0.1, "margin": 0.2, "contrast_weight": 0.2},
        "checkpoint__every_steps": 2,
    },
    "trades terms": {
        "method": "trades",
        "averaging__decay": 0.9,
        "attack__start": "uniform",
        "trades__weighting": "true-class",
        "objective": {"nuclear_weight": 1.0, "contrast_weight": 0.2},
    },
    "alp terms": {
        "method": "alp",
        "averaging__decay": 0.9,
        "objective": {"nuclear_weight": 1.0, "contrast_weight": 0.2},
    },
    "rocl contrast": {"method": "rocl", "averaging__decay": 0.9, "objective__contrast_weight": 0.2},
    "claf cosine": {"model__logits": "cosine"},
    "at perturbed": {"method": "at", "weight_perturbation__gamma": 0.01},
    "claf perturbed": {"weight_perturbation": {"gamma": 0.01, "after": 0}},
    "trades ramped": {"method": "trades", "attack__epsilon_ramp": 0.7},
    "clp squeezing": {
        "method": "clp",
        "clp": {"squeezing": 0.1, "noise": 0.1},
        "weight_perturbation__gamma": 0.01,
        "checkpoint__every_steps": 2,
    },
    "two encoders separate": {
        "method": "two-encoders",
        "two_encoders__training": "separate",
        "checkpoint__every_steps": 2,
    },
    "two encoders clean perturbed": {
        "method": "two-encoders",
        "two_encoders": {"measured": "clean", "positives": "class"},
        "weight_perturbation": {"gamma": 0.01, "after": 0},
        "averaging__decay": 0.9,
        "checkpoint__every_steps": 2,
    },
    "claf ramped": {"attack__epsilon_ramp": 1.0},
    "acl standard": {"method": "acl", "acl": {"epochs": 2, "streams": "standard", "head": "linear"}},
    "acl adversarial": {"method": "acl", "acl": {"epochs": 2, "streams": "adversarial", "head": "robust-linear"}},
    "acl natural statistics": {
        "method": "acl",
        "averaging__decay": 0.9,
        "weight_perturbation__gamma": 0.01,
        "acl": {"epochs": 2, "measured_statistics": "natural", "dual_weight": 0.5, "head": "linear"},
        "checkpoint__every_steps": 2,
    },
    "claf released code": {"attack__space": "released-code", "model__activation": "silu"},
}
"""Everything that a method can be made of, as short runs."""
SINGLE_TERMS = {
    "nuat": {"method": "at", "objective": {"nuclear_weight": 4.0, "cross_entropy": "natural"}},
    "at nuclear": {"method": "at", "objective__nuclear_weight": 1.0},
    "at contrast": {"method": "at", "averaging__decay": 0.9, "objective__contrast_weight": 0.2},
    "at natural contrast": {
        "method": "at",
        "averaging__decay": 0.9,
        "objective": {"contrast_weight": 0.2, "cross_entropy": "natural"},
    },
    "trades nuclear": {"method": "trades", "objective__nuclear_weight": 1.0},
    "alp nuclear": {"method": "alp", "objective__nuclear_weight": 1.0},
    "nuat contrast awp": {
        "method": "at",
        "averaging__decay": 0.9,
        "weight_perturbation": {"gamma": 0.01, "after": 0.5},
        "objective": {"nuclear_weight": 4.0, "cross_entropy": "natural", "contrast_weight": 0.2},
    },
    "at rotation natural attack": {"method": "at", "objective__rotation_weight": 0.5},
    "fgsm rotation": {"method": "fgsm", "objective__rotation_weight": 0.5},
    "trades rotation": {"method": "trades", "objective": {"rotation_weight": 0.5, "rotation_in_attack": True}},
    "alp rotation": {"method": "alp", "objective": {"rotation_weight": 0.5, "rotation_in_attack": True}},
    "natural smoothed": {"method": "natural", "objective__label_smoothing": 0.1},
}
"""Objectives with one term more, each with a cost of its own."""

Whole = Callable[[str], tuple[list[ev.Event], Path]]
"""A variant to the events and the directory of its run."""


def names(config: RunConfig) -> list[str]:
    return [phase.name for phase in phases_of(config)]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_the_phases_and_classifiers_of_the_table(method: str) -> None:
    phases = phases_of(tiny_config(method=method))
    assert {phase.name: phase.classifier for phase in phases} == TABLE[method]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 4),
        ({"adversarial__epochs": 0}, 2),
        ({"method": "scl"}, 2),
        ({"method": "rocl", "rocl__epochs": 7}, 7),
        ({"method": "acl", "acl__epochs": 7}, 7),
        *(({"method": method}, 0) for method in ("natural", "at", "fgsm", "alp", "trades", "defense-gan")),
    ],
)
def test_the_common_schedule_spans_the_contrastive_phases(changes: dict[str, object], expected: int) -> None:
    assert feature_epochs(phases_of(tiny_config(**changes))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {NATURAL, ADVERSARIAL}),
        ({"linear_evaluation": {"epochs": 0, "adversarial_epochs": 0}}, {ATTACK_CLASSIFIER}),
        ({"method": "rocl"}, {ADVERSARIAL}),
        ({"method": "rocl", "rocl__head": "linear"}, {NATURAL}),
        ({"method": "acl", "acl__head": "linear"}, {NATURAL}),
        ({"method": "natural"}, {NATURAL}),
        ({"method": "defense-gan"}, {NATURAL}),
        ({"adversarial__epochs": 0, "linear_evaluation": {"epochs": 0, "adversarial_epochs": 0}}, set()),
    ],
)
def test_what_is_reported_are_linear_evaluations_or_else_all_classifiers(
    changes: dict[str, object], expected: set[str]
) -> None:
    assert reported_classifiers(phases_of(tiny_config(**changes))) == expected


def test_a_method_of_no_epochs_is_refused() -> None:
    with pytest.raises(ConfigError, match="method trades trains for no epochs: set the epochs .* above 0"):
        phases_of(tiny_config(method="trades", supervised__epochs=0))


@pytest.mark.parametrize("method", ["rocl", "acl"])
@pytest.mark.parametrize(
    ("head", "setting"),
    [
        ("linear", "linear_evaluation.epochs"),
        ("robust-linear", "linear_evaluation.adversarial_epochs"),
        ("fine-tune", "supervised.epochs"),
    ],
)
def test_a_head_of_no_epochs_is_refused(head: str, setting: str, method: str) -> None:
    section, key = setting.split(".")
    config = tiny_config(method=method, **{f"{method}__head": head, f"{section}__{key}": 0})
    with pytest.raises(ConfigError, match=f"{method}.head = '{head}' trains for no epochs: set {setting} above 0"):
        phases_of(config)


def test_claf_has_two_stages_and_two_linear_evaluations() -> None:
    assert names(tiny_config()) == CLAF


def test_the_natural_method_is_ordinary_supervised_training() -> None:
    assert names(tiny_config(method="natural")) == ["supervised"]


def test_every_method_of_the_settings_has_phases() -> None:
    assert sorted(registry.METHODS.own) == sorted(get_args(Method)) == sorted(METHODS)


@pytest.mark.parametrize(
    ("setting", "left_out"),
    [
        ("contrastive__epochs", "contrastive"),
        ("adversarial__epochs", "adversarial"),
        ("linear_evaluation__epochs", "linear_evaluation"),
        ("linear_evaluation__adversarial_epochs", "adversarial_linear_evaluation"),
    ],
)
def test_a_phase_of_no_epochs_is_left_out(setting: str, left_out: str) -> None:
    assert names(tiny_config(**{setting: 0})) == [name for name in CLAF if name != left_out]


def test_a_phase_is_announced_with_its_epochs_and_steps() -> None:
    phases = phases_of(tiny_config(adversarial={"epochs": 2, "classifier_epochs": 3}))
    assert phases[1].plan(10) == PhasePlan("adversarial", "2 · adversarial features", 2, 2 * 10 * (3 + 1))


@pytest.mark.parametrize("method", METHODS)
def test_a_phase_takes_as_many_steps_as_it_announces(method: str) -> None:
    session = tiny_session(tiny_config(method=method, adversarial__classifier_epochs=2))
    for phase in phases_of(session.config):
        num_steps = sum(isinstance(tick, Boundary) for tick in phase.play(session))
        session.state.cursor.end_phase()
        assert num_steps == phase.plan(session.steps_per_sweep).steps > 0


@pytest.mark.parametrize("method", METHODS)
def test_the_steps_of_a_phase_bear_the_names_of_its_parts(method: str) -> None:
    session = tiny_session(tiny_config(method=method))
    for phase in phases_of(session.config):
        parts = {tick.part for tick in phase.play(session) if isinstance(tick, Boundary)}
        session.state.cursor.end_phase()
        assert parts == {part.name for part in phase.parts}


class Counter:
    """What the encoder is asked for, in passes of one image: a backward pass to the images counts 1, a full one 2.

    A patch counts as the part of an image of 8x8 pixels that it is.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cost = 0.0
        forward = Encoder.forward

        def counted(encoder: Encoder, images: Tensor) -> Tensor:
            is_trained = any(parameter.requires_grad for parameter in encoder.parameters())
            backward = 0 if not torch.is_grad_enabled() else 2 if is_trained else 1 if images.requires_grad else 0
            area = images.shape[-2] * images.shape[-1] / 64
            self.cost += len(images) * area * (1 + backward)
            return forward(encoder, images)

        monkeypatch.setattr(Encoder, "forward", counted)


def _measured_for_nothing(*_: object) -> Generator[Pulse, None, float]:
    yield from ()
    return 0.5


def counted_costs(session: Session, phase: Phase, counter: Counter) -> dict[str, float]:
    """Cost of each part of a phase for one image, as counted."""
    costs: dict[str, float] = {}
    images: dict[str, int] = {}
    counter.cost = 0
    for tick in phase.play(session):
        if isinstance(tick, Boundary):
            costs[tick.part] = costs.get(tick.part, 0) + counter.cost
            images[tick.part] = images.get(tick.part, 0) + tick.num_images
        if not isinstance(tick, Pulse):
            counter.cost = 0
    session.state.cursor.end_phase()
    return {part: costs[part] / images[part] for part in costs}


@pytest.mark.parametrize("variant", [name for name in VARIANTS | SINGLE_TERMS if "batch" not in name])
def test_the_parts_of_a_phase_cost_what_the_table_says(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.training.phases.adversarial.adversarial_accuracy", _measured_for_nothing)
    monkeypatch.setattr("claf_engine.training.phases.supervised.watched_accuracy", _measured_for_nothing)
    config = tiny_config(
        **{"attack__steps": 3, "adversarial__classifier_epochs": 2} | (VARIANTS | SINGLE_TERMS)[variant]
    )
    session, counter = tiny_session(config), Counter(monkeypatch)
    for phase in phases_of(config):
        counted = counted_costs(session, phase, counter)
        if phase.name == "linear_evaluation":
            assert counted == {"natural": 1 / phase.epochs}, "features are computed once"
        else:
            costs = {
                part.name: 0 if part.cost in {FEATURES_COST, GENERATOR_COST} else part.cost for part in phase.parts
            }
            assert counted == costs, phase.name


@pytest.mark.parametrize(
    ("num_sweeps", "passes", "expected"),
    [(5, 5, (1, 4)), (5, 2, (3, 2)), (4, 3, (2, 2)), (2, 5, (1, 1)), (3, 1, (3, 0)), (1, 5, (1, 0)), (0, 5, (0, 0))],
)
def test_passes_that_replay_cost_next_to_nothing(num_sweeps: int, passes: int, expected: tuple[int, int]) -> None:
    changes = {"classifier_epochs": num_sweeps, "classifier_refresh": "replay", "replay_passes": passes}
    phase = phases_of(tiny_config(adversarial={"epochs": 1, **changes}, attack__steps=3))[1]
    parts = [Part("retrain", expected[0], 7), Part("replay", expected[1], 0.02), Part("encoder", 1, 15)]
    assert phase.parts == tuple(part for part in parts if part.sweeps or part.name == "retrain")


@pytest.mark.parametrize("passes", [1, 2])
def test_a_phase_announces_the_steps_of_a_share_of_the_batches(passes: int) -> None:
    changes = {"classifier_epochs": 3, "classifier_refresh": "replay", "replay_passes": passes}
    session = tiny_session(tiny_config(adversarial={"epochs": 2, "classifier_fraction": 0.5, **changes}))
    phase = phases_of(session.config)[1]
    num_steps = sum(isinstance(tick, Boundary) for tick in phase.play(session))
    assert num_steps == phase.plan(session.steps_per_sweep).steps == 2 * (3 * 2 + 3)


def test_natural_images_make_retraining_cheap() -> None:
    phase = phases_of(tiny_config(adversarial__classifier_images="natural", attack__steps=3))[1]
    assert [part.cost for part in phase.parts] == [1, 2 * 3 + 9]


def short(**changes: object) -> RunConfig:
    """All phases of a method in as few steps as there can be."""
    settings: dict[str, object] = {
        "attack__steps": 1,
        "contrastive__epochs": 1,
        "adversarial__epochs": 1,
        "rocl__epochs": 1,
        "acl__epochs": 1,
        "defense_gan__epochs": 1,
        "linear_evaluation": {"epochs": 1, "adversarial_epochs": 1, "adversarial_steps": 1},
        "fgsm": {"monitor_steps": 2},
        "probe": {"every_epochs": 1, "num_examples": 4, "epsilons": ["8/255"], "steps": 1, "fit_epochs": 1},
        "evaluation": {"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
    }
    return tiny_config(**settings | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Plays each variant once, when it is first asked for, on 20 images: the last batch is smaller."""
    known: dict[str, tuple[list[ev.Event], Path]] = {}

    def get(variant: str) -> tuple[list[ev.Event], Path]:
        if variant not in known:
            directory = create_run(tmp_path_factory.mktemp("whole"), "tiny", short(**VARIANTS[variant]), [])
            known[variant] = play(directory), directory.path
        return known[variant]

    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=20)
        yield get


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_is_left_again_and_again_is_the_same_to_the_bit(whole: Whole, tmp_path: Path, variant: str) -> None:
    events, path = whole(variant)
    directory, strides = create_run(tmp_path, "tiny", short(**VARIANTS[variant]), []), random.Random(variant)
    attempts = 1
    while not leave(directory, strides.randrange(len(events) // 5, len(events) // 2), "stop"):
        directory = open_run(directory.path)
        attempts += 1
    assert attempts > 2
    assert outcome(directory.path) == outcome(path)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_is_tested_as_often_as_was_planned_or_less(whole: Whole, variant: str) -> None:
    events, _ = whole(variant)
    finished = events[-1]
    assert isinstance(finished, ev.RunFinished)
    planned = num_tests(phases_of(short(**VARIANTS[variant])))
    best = [result for result in finished.results if result.checkpoint == "best"]
    last = [result for result in finished.results if result.checkpoint == "last"]
    assert len(last) == len(reported_classifiers(phases_of(short(**VARIANTS[variant]))))
    assert planned - 1 <= len(last) + len(best) <= planned
    assert [result.selected for result in finished.results].count(True) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_of_any_method_is_all_done_in_the_end(whole: Whole, variant: str) -> None:
    events, path = whole(variant)
    progress = [event for event in events if isinstance(event, ev.Progressed)][-1]
    assert (progress.run_fraction, progress.run_remaining) == (1.0, 0.0)
    assert list_checkpoints(path)[0].info is not None
