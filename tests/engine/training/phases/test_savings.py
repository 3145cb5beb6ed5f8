"""Replayed features and a share of the batches: what each saves, and that it does what it says."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from claf_engine.config import AdversarialConfig, AttackConfig, RunConfig, Settings
from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.training.costs import is_replayed
from claf_engine.training.phases import adversarial as stage_2
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.session import Session
from tests.engine.tiny import FP32, state_sha256
from tests.engine.training.phases.slow_stage_2 import Slow
from tests.engine.training.phases.variants import VARIANTS, Crafted, losses, measured_for_nothing, parts, session_of


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_does_what_it_says_loss_for_loss(variant: str) -> None:
    expected, found = Slow(session_of(variant)).play(), losses(session_of(variant))
    assert [part for part, _ in found] == [part for part, _ in expected]
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in expected], abs=1e-5)


def test_every_saving_is_off_by_default() -> None:
    config = RunConfig()
    assert config.adversarial.classifier_refresh == "exact"
    assert config.adversarial.classifier_fraction == 1.0
    assert config.attack.warm_start is False


@pytest.mark.parametrize(
    "changes",
    [
        {"adversarial__replay_passes": 2},
        {"adversarial__classifier_refresh": "replay", "adversarial__replay_passes": 1},
        {"adversarial__classifier_fraction": 0.99},
    ],
    ids=["exact", "one pass", "all batches"],
)
def test_a_saving_that_saves_nothing_changes_nothing(changes: dict[str, Any]) -> None:
    usual, changed = session_of("exact"), session_of("exact", **changes)
    assert losses(usual) == losses(changed)
    assert state_sha256(usual.state) == state_sha256(changed.state)


def test_without_savings_nothing_is_kept() -> None:
    session = session_of("exact")
    for _ in adversarial(session):
        assert session.state.features is session.state.perturbations is None


@pytest.mark.parametrize(
    ("group", "key"),
    [
        (AdversarialConfig, "classifier_refresh"),
        (AdversarialConfig, "classifier_fraction"),
        (AttackConfig, "warm_start"),
    ],
)
def test_every_saving_labels_itself_as_changing_the_method(group: type[Settings], key: str) -> None:
    assert "changes the method" in (group.model_fields[key].description or "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("replay_passes", 0),
        ("classifier_fraction", 0),
        ("classifier_fraction", 1.1),
        ("classifier_fraction", float("nan")),
        ("classifier_refresh", "never"),
    ],
)
def test_a_saving_out_of_range_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        AdversarialConfig.model_validate({key: value})


def test_the_first_pass_of_replay_is_that_of_exact() -> None:
    exact, replayed = losses(session_of("exact"))[:4], losses(session_of("replay once an epoch"))[:4]
    assert exact[:3] == replayed[:3]
    assert exact[3] != replayed[3]


@pytest.mark.parametrize(
    ("num_sweeps", "passes", "expected"), [(5, 5, 1), (5, 2, 3), (5, 3, 2), (5, 1, 5), (2, 5, 1), (0, 5, 0)]
)
def test_replay_crafts_once_in_so_many_passes(
    crafted: list[Crafted], num_sweeps: int, passes: int, expected: int
) -> None:
    changes = {"adversarial__classifier_epochs": num_sweeps, "adversarial__replay_passes": passes}
    names = parts(session_of("replay", adversarial__epochs=1, **changes))
    assert len(crafted) == names.count("retrain") + 3 == 3 * expected + 3
    assert names.count("retrain") + names.count("replay") == 3 * num_sweeps


def test_a_replayed_pass_asks_the_encoder_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session, asked = session_of("replay once an epoch", adversarial__epochs=1), []

    def counted(encoder: nn.Module, images: Tensor) -> Tensor:
        asked.append(session.state.cursor.sweep)
        return forward(encoder, images)

    forward = type(session.state.network.encoder).forward
    monkeypatch.setattr(type(session.state.network.encoder), "forward", counted)
    monkeypatch.setattr(stage_2, "adversarial_accuracy", measured_for_nothing)
    for tick in adversarial(session):
        if isinstance(tick, PartEnd):
            break
    assert set(asked) == {0}


@pytest.mark.parametrize("variant", ["replay", "replay once an epoch", "all"])
def test_a_replayed_pass_takes_the_images_that_were_crafted_in_a_new_order(variant: str) -> None:
    session = session_of(variant)
    for before, after in pairwise(orders(session)):
        if is_replayed(session.config.adversarial, after[0]):
            assert before[1] != after[1]
            assert sorted(before[1]) == sorted(after[1])


def orders(session: Session) -> list[tuple[int, list[int]]]:
    """Number and image order of every pass of the first retraining."""
    found: dict[int, list[int]] = {}
    for tick in adversarial(session):
        if isinstance(tick, PartEnd):
            break
        if isinstance(tick, Boundary):
            found[session.state.cursor.sweep] = session.state.order.tolist()
    return list(found.items())


def test_features_are_kept_in_the_order_of_the_images_and_in_fp32() -> None:
    session = session_of("replay")
    in_bf16 = replace(session, compute=replace(FP32, precision="bf16"))
    next(tick for tick in adversarial(in_bf16) if isinstance(tick, Boundary))
    features, rows = session.state.features, session.state.order[:8]
    assert features is not None
    assert features.dtype == torch.float32
    assert features.shape == (20, 4)
    assert set(features.abs().sum(1).nonzero()[:, 0].tolist()) == set(rows.tolist())


def test_a_share_of_the_batches_is_drawn_anew_for_every_pass() -> None:
    drawn = orders(session_of("fraction"))
    assert [len(rows) for _, rows in drawn] == [16] * 3
    assert len({frozenset(rows) for _, rows in drawn}) == 3


def test_a_share_of_the_batches_leaves_the_encoder_all_of_them(crafted: list[Crafted]) -> None:
    names = parts(session_of("fraction"))
    assert names == 2 * (["retrain"] * 2 * 3 + ["encoder"] * 3)
    assert len(crafted) == len(names)


def test_the_schedule_of_retraining_ends_with_the_steps_that_there_are() -> None:
    straight = {"learning_rate": 0.6, "schedule": "linear"}
    session = session_of("fraction", adversarial__classifier_optimizer=straight, adversarial__epochs=1)
    ticks = adversarial(session)
    rates = [tick.learning_rate for tick in ticks if isinstance(tick, Boundary) and tick.part == "retrain"]
    assert rates == pytest.approx([0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_features_of_natural_images_are_computed_once_an_epoch_with_the_same_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    natural = {"adversarial__classifier_images": "natural", "adversarial__classifier_epochs": 3}
    kept = losses(session_of("exact", **natural))
    monkeypatch.setattr("claf_engine.training.costs.has_fixed_features", lambda _: False)
    computed = losses(session_of("exact", **natural))
    assert [loss for _, loss in kept] == pytest.approx([loss for _, loss in computed], rel=1e-6)
    assert sum(part == "replay" for part, _ in kept) == 2 * sum(part == "retrain" for part, _ in kept) > 0


@pytest.mark.parametrize(
    "changes", [{"source": "crop"}, {"classifier_fraction": 0.5}, {"classifier_images": "adversarial"}]
)
def test_features_that_differ_from_sweep_to_sweep_are_computed_anew(changes: dict[str, Any]) -> None:
    config = AdversarialConfig.model_validate({"classifier_images": "natural", **changes})
    assert not is_replayed(config, 1)
