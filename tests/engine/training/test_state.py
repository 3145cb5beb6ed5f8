from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.terms.errors import DataError
from claf_engine.training.checkpoint import weights_sha256
from claf_engine.training.state import (
    FEATURES,
    Cursor,
    Ledger,
    TrainState,
    begin,
    joint_optimizer,
    make_optimizer,
    optimizer_config,
)
from tests.engine.tiny import FP32, state_sha256, tiny_config
from tests.models import name_of
from tests.plugins import registries_restored


def fresh(**changes: object) -> TrainState:
    return begin(tiny_config(**changes), 4, FP32)


def trained_by(optimizer: str) -> set[str]:
    """The names of the parameters that an optimiser steps."""
    state = fresh()
    handed = {
        id(parameter)
        for group in make_optimizer(tiny_config(), state, optimizer).param_groups
        for parameter in group["params"]
    }
    return {name for name, parameter in state.network.named_parameters() if id(parameter) in handed}


def parameters(*prefixes: str) -> set[str]:
    return {name for name, _ in fresh().network.named_parameters() if name.startswith(prefixes)}


def test_runs_of_one_seed_begin_alike() -> None:
    assert state_sha256(fresh(seed=5)) == state_sha256(fresh(seed=5))


def test_runs_of_two_seeds_begin_with_other_weights() -> None:
    assert weights_sha256(fresh(seed=5).network) != weights_sha256(fresh(seed=6).network)


def test_runs_of_two_seeds_draw_other_numbers() -> None:
    one, other = fresh(seed=5), fresh(seed=6)
    for purpose, generator in one.generators.items():
        draws = torch.rand(4, generator=generator)
        assert not torch.equal(draws, torch.rand(4, generator=other.generators[purpose]))


def test_a_beginning_leaves_the_global_randomness_as_it_was() -> None:
    before = torch.get_rng_state()
    fresh()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("record", [{"step": -1}, {"phase": "1"}, {"epoch": None}, {"batch": 1.5}, {"sweep": True}])
def test_a_position_that_is_no_counts_is_refused(record: dict[str, object]) -> None:
    assert Cursor.from_record({"step": 3, "phase": 1}) == Cursor(1, step=3)
    with pytest.raises(ValueError, match="no counts"):
        Cursor.from_record(record)


@pytest.mark.parametrize(
    "record",
    [
        {"elapsed": "long"},
        {"phase_elapsed": {"0": "long"}},
        {"done": [1]},
        {"edits": 1.5},
        {"before": "0.5"},
        {"validation": {"natural": 0.5}},
        {"alerts": {"epsilon-zero": {"step": 1}}},
        {"alerts": {"epsilon-zero": {"step": "1", "text": "a"}}},
    ],
)
def test_a_ledger_of_other_types_is_refused(record: dict[str, object]) -> None:
    whole = Ledger(1.5, {"0": 1.5}, done={"a": 1}, alerts={"epsilon-zero": {"step": 1, "text": "a"}}, best_probed=0.5)
    assert Ledger.from_record(whole.to_record()) == whole
    with pytest.raises(ValueError, match="of another type"):
        Ledger.from_record({**whole.to_record(), **record})


@pytest.mark.parametrize("record", [[], None, "x"])
def test_a_state_that_is_no_object_is_refused(record: Any) -> None:
    for kind in (Cursor, Ledger):
        with pytest.raises(TypeError, match="where an object belongs"):
            kind.from_record(record)


def test_a_run_begins_at_the_very_beginning() -> None:
    state = fresh()
    assert state.cursor == Cursor(0, 0, 0, 0, 0, 0, 0)
    assert len(state.order) == 0
    assert state.optimizers == {}


FAR = Cursor(phase=1, epoch=2, part=3, sweep=4, batch=5, step=60, feature_steps=70)


@pytest.mark.parametrize(
    ("move", "place"),
    [
        (Cursor.end_sweep, (1, 2, 3, 5, 0)),
        (Cursor.end_part, (1, 2, 4, 0, 0)),
        (Cursor.end_epoch, (1, 3, 0, 0, 0)),
        (Cursor.end_phase, (2, 0, 0, 0, 0)),
    ],
)
def test_the_end_of_something_moves_on_to_the_next_and_keeps_the_steps(move, place: tuple[int, ...]) -> None:
    cursor = Cursor(**vars(FAR))
    move(cursor)
    assert cursor == Cursor(*place, step=60, feature_steps=70)


def test_the_mean_loss_is_that_of_all_losses_since_the_start() -> None:
    state = fresh()
    for loss in (1.0, 2.0, 6.0):
        state.loss_sum += loss
        state.loss_count += 1
    assert state.mean_loss() == 3.0


def test_a_new_mean_begins_without_the_old_losses() -> None:
    state = fresh()
    state.loss_sum += 5.0
    state.loss_count = 1
    state.start_losses()
    assert (state.mean_loss(), state.loss_count) == (0.0, 0)


def test_the_features_optimizer_trains_encoder_and_projection_head() -> None:
    assert trained_by(FEATURES) == parameters("encoder.", "projection_head.")


@pytest.mark.parametrize("classifier", [NATURAL, ADVERSARIAL])
def test_a_joint_optimizer_trains_the_encoder_and_one_classifier(classifier: str) -> None:
    assert trained_by(joint_optimizer(classifier)) == parameters("encoder.", f"classifiers.{classifier}.")


@pytest.mark.parametrize("classifier", [ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL])
def test_the_optimizer_of_a_classifier_trains_nothing_else(classifier: str) -> None:
    assert trained_by(classifier) == parameters(f"classifiers.{classifier}.")


@pytest.mark.parametrize(
    ("optimizer", "section"),
    [
        (FEATURES, "features_optimizer"),
        (joint_optimizer(NATURAL), "supervised__optimizer"),
        (joint_optimizer(ADVERSARIAL), "supervised__optimizer"),
        (ATTACK_CLASSIFIER, "adversarial__classifier_optimizer"),
        (NATURAL, "linear_evaluation__optimizer"),
        (ADVERSARIAL, "linear_evaluation__optimizer"),
    ],
)
def test_an_optimizer_has_the_settings_of_its_section(optimizer: str, section: str) -> None:
    config = tiny_config(**{section: {"learning_rate": 0.123}})
    assert optimizer_config(config, optimizer).learning_rate == 0.123


def test_images_that_a_library_s_model_does_not_take_are_refused_with_the_reason() -> None:
    config = tiny_config(model__architecture="timm:vit_tiny_patch16_224")
    with pytest.raises(
        DataError, match="timm:vit_tiny_patch16_224 does not take images of 32x32 pixels and 3 channels: I"
    ):
        begin(config, 4, FP32, (32, 32))


VIEWING = """
    from torch import nn

    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(144, 4)

        def forward(self, x):
            return self.linear(self.convolution(x).view(len(x), -1))
"""


def test_a_model_that_the_layout_breaks_is_refused_before_it_trains(tmp_path: Path) -> None:
    with registries_restored():
        config = tiny_config(model__architecture=name_of(tmp_path, "Viewing", VIEWING))
        begin(config, 4, replace(FP32, layout="contiguous"), (8, 8))
        with pytest.raises(
            DataError, match="net.py:Viewing does not take images of 8x8 pixels .* view size is not comp"
        ):
            begin(config, 4, replace(FP32, layout="channels_last"), (8, 8))
