import time
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from benchmarks.engine_side import (
    STEADY,
    Loading,
    Size,
    configure,
    copy_weights,
    plain_sgd,
    play_epoch,
    start_session,
    twin_of,
)
from claf_engine.config import OptimizerConfig, RuntimeConfig
from claf_engine.events.ticks import Boundary, PartEnd, Pulse, Tick
from claf_engine.models.network import ATTACK_CLASSIFIER, CLASSIFIERS
from tests.engine.tiny import CPU

SMALL = Size(16, 8, 8)
QUICK = RuntimeConfig(device="cpu", precision="fp32", layout="contiguous", threads=1, keep_freed_memory=False)


@pytest.fixture
def _ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves by a second whenever it is looked at, and a device that is always done."""
    now = iter(range(1000))
    monkeypatch.setattr("benchmarks.engine_side.time.perf_counter", lambda: float(next(now)))
    monkeypatch.setattr("benchmarks.engine_side.synchronise", lambda device: None)


@pytest.mark.usefixtures("_ticking")
def test_waiting_for_images_counts_on_a_processor_and_is_left_out_on_an_accelerator() -> None:
    batches = Loading([[torch.zeros(1)]] * 3)
    here, waited = batches.clock(lambda: list(batches), "cpu")
    there, waited_there = batches.clock(lambda: list(batches), "cuda")
    assert waited == waited_there == 4
    assert here - there == waited


@pytest.mark.usefixtures("_ticking")
def test_what_a_part_measures_after_its_last_step_is_left_out() -> None:
    step, looks = Boundary("retrain", "loss", torch.zeros(()), 0.1, 8), []

    def phase() -> Iterator[Tick]:
        yield from (step, step, step)
        for _ in range(5):
            looks.append(time.perf_counter())
            yield Pulse("watch")
        yield PartEnd()
        yield step
        yield PartEnd(epoch_ended=True)
        raise AssertionError("the next epoch was begun")

    assert play_epoch(phase(), CPU, ("first", "second")) == {"first": 3, "second": 1}
    assert len(looks) == 5


def test_a_twin_begins_with_the_weights_and_gives_the_logits_of_the_session() -> None:
    session = start_session(configure(SMALL, QUICK, {}), SMALL.images)
    model = session.state.network.with_classifier(ATTACK_CLASSIFIER).eval()
    images, _ = session.training_batch(torch.arange(4))
    torch.testing.assert_close(twin_of(session, ATTACK_CLASSIFIER).eval()(images), model(images))


def test_each_classifier_has_a_twin_of_its_own() -> None:
    session = start_session(configure(SMALL, QUICK, {}), SMALL.images)
    twins = {twin_of(session, name).classifier.weight.detach().numpy().tobytes() for name in CLASSIFIERS}
    assert len(twins) == len(CLASSIFIERS)


def test_weights_of_another_shape_are_not_copied() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        copy_weights(nn.Linear(2, 3), nn.Linear(3, 3))


def test_the_plain_optimizer_refuses_a_schedule_that_it_would_not_follow() -> None:
    plain_sgd(OptimizerConfig(**STEADY), nn.Linear(1, 1))
    with pytest.raises(AssertionError):
        plain_sgd(OptimizerConfig(schedule="cosine"), nn.Linear(1, 1))
