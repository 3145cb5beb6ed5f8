"""The self test on a CPU: compared with itself everything passes, and every planted fault is found."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from claf_engine.attacks.gradients import Target
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import exhaust
from claf_engine.selftest import agreement, stage, throughput
from claf_engine.selftest.checks import CHECKS, RATES, accelerator_places, device_steps, row_of
from claf_engine.selftest.findings import Check, Finding, graded
from claf_engine.selftest.places import Places, Scale
from claf_engine.terms.errors import CheckpointError, DeviceError
from claf_engine.training.session import Session, Taken
from claf_engine.training.weight_perturbation import LossOf
from tests.engine.tiny import FP32

SCALE = Scale(width=4, blocks=(1,), side=8, batch=8, steps=2, timed_width=4, timed_batch=8, repeats=1, matrix=32)
BY_NAME = {check.name: check for check in CHECKS + RATES}


@pytest.fixture(scope="module")
def places() -> Places:
    return Places(FP32, FP32, SCALE)


@pytest.fixture
def other() -> Compute:
    """A second place that computes like the first until something is broken there."""
    return replace(FP32, threads=2)


@pytest.fixture
def two_places(other: Compute) -> Places:
    return Places(FP32, other, SCALE)


@pytest.fixture
def captured_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that runs the pass again instead of replaying it."""
    monkeypatch.setattr("claf_engine.attacks.gradients.Captured", lambda work, inputs: work)


def break_there(monkeypatch: pytest.MonkeyPatch, there: Compute, change: Callable[[Tensor], Tensor]) -> None:
    """Let one place lay out other images than it is given."""
    arrange = Compute.arrange

    def broken(compute: Compute, images: Tensor) -> Tensor:
        return arrange(compute, change(images) if compute.threads == there.threads else images)

    monkeypatch.setattr(Compute, "arrange", broken)


@pytest.mark.parametrize("name", ["views", "step", "attack", "bf16", "waits", "repeat", "checkpoint"])
def test_a_cpu_agrees_with_itself(name: str, places: Places) -> None:
    row = row_of(BY_NAME[name], places)
    assert (row.verdict, row.advice) == ("passes", ""), f"{row.result}: {row.figure}"


@pytest.mark.parametrize("name", ["attack-rate", "encoder-rate", "peak"])
def test_rates_are_positive_and_told_with_their_share_of_the_peak(name: str, places: Places) -> None:
    row = row_of(BY_NAME[name], places)
    assert row.verdict in {"passes", "warns"}
    numbers = [
        value
        for values in row.values.values()
        for value in (values.values() if hasattr(values, "values") else [values])
    ]
    assert all(value is None or value > 0 for value in numbers)


def test_the_captured_attack_is_compared_with_the_eager_one(places: Places, captured_eagerly: None) -> None:
    finding = agreement.capture_agrees(places)
    assert (finding.verdict, finding.result) == ("passes", "equal bit for bit")


def test_a_cpu_that_cannot_capture_says_so_and_does_not_pass(places: Places) -> None:
    assert row_of(BY_NAME["captured-attack"], places).verdict == "not-run"


def test_a_captured_pass_that_does_not_see_new_weights_is_found(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.attacks.gradients.Captured", lambda work, inputs: work)
    refresh = Target.refresh
    monkeypatch.setattr(Target, "refresh", lambda self: None if self._compute.captures else refresh(self))
    assert agreement.capture_agrees(places).verdict == "fails"


def test_a_captured_pass_that_keeps_its_first_inputs_is_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(work: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Callable[..., Tensor]:
        held = copy.deepcopy(inputs)
        return lambda *_: work(*held)

    monkeypatch.setattr("claf_engine.attacks.gradients.Captured", stale)
    assert agreement.capture_agrees(places).verdict == "fails"


@pytest.mark.parametrize("name", ["step", "attack"])
def test_products_with_too_few_digits_are_found(
    name: str, two_places: Places, other: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_there(monkeypatch, other, lambda images: (images * 8).round() / 8)
    row = row_of(BY_NAME[name], two_places)
    assert row.verdict in {"warns", "fails"}
    assert "do not train on it" in row.advice


def test_an_optimiser_that_steps_too_far_is_found(
    two_places: Places, other: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Session.feature_step

    def too_far(session: Session, loss_of: LossOf, epochs: int) -> Taken:
        taken = step(session, loss_of, epochs)
        if session.compute == other:
            with torch.no_grad():
                session.state.network.encoder.stem.weight.mul_(1.1)  # type: ignore[operator,union-attr]
        return taken

    monkeypatch.setattr(Session, "feature_step", too_far)
    finding = agreement.step_agrees(two_places)
    assert (finding.verdict, finding.values["gradients"]) == ("fails", 0)


def test_other_colours_are_found(two_places: Places, other: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    true = agreement._augmented
    monkeypatch.setattr(
        agreement, "_augmented", lambda places, compute: true(places, compute) + 0.01 * (compute == other)
    )
    assert agreement.views_agree(two_places).verdict == "fails"


def test_a_loss_that_is_not_a_number_fails(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_loss", lambda places, compute: float("nan"))
    assert agreement.bf16_is_close(places).verdict == "fails"


def test_a_loss_that_is_far_off_in_bf16_is_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_loss", lambda places, compute: 3.0 if compute.precision == "bf16" else 2.0)
    assert agreement.bf16_is_close(places).verdict == "fails"


def test_only_warm_steps_may_not_wait(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    @contextmanager
    def refusing(device: torch.device) -> Iterator[None]:
        refused.append(device)
        yield

    monkeypatch.setattr(stage, "waits_refused", refusing)
    session = places.session(places.compute)
    ticks = stage.train_encoder(session)
    per_step = session.config.attack.steps + 1
    stage.play_without_waiting(ticks, session.steps_per_sweep, places.compute)
    assert len(refused) == (session.steps_per_sweep - stage.WARM_UPS) * per_step


def test_a_step_that_waits_is_told_with_its_number(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refusing(_: torch.device) -> Iterator[None]:
        raise RuntimeError("called a synchronizing CUDA operation\nin some place")
        yield

    monkeypatch.setattr(stage, "waits_refused", refusing)
    finding = stage.nothing_waits(places)
    assert (finding.verdict, finding.result, finding.figure) == (
        "fails",
        "called a synchronizing CUDA operation",
        "step 3",
    )


def test_a_run_that_does_not_repeat_is_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    true, count = stage.state_tensors, iter(range(9))

    def drifting(state: Any) -> dict[str, Tensor]:
        return {name: value + next(count) if name == "loss_sum" else value for name, value in true(state).items()}

    monkeypatch.setattr(stage, "state_tensors", drifting)
    finding = stage.runs_repeat(places)
    assert (finding.verdict, finding.result) == ("fails", "1 tensors differ, loss_sum first")


def test_weights_that_change_on_the_way_are_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    true = stage.restore_state

    def changing(*values: Any) -> Any:
        state = true(*values)
        state.network.encoder.mean.add_(1)
        return state

    monkeypatch.setattr(stage, "restore_state", changing)
    assert stage.checkpoint_moves(places).result == "the restored weights differ"


def test_a_checkpoint_that_cannot_be_restored_fails(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise CheckpointError("it lacks part of its state")

    monkeypatch.setattr(stage, "restore_state", refuse)
    row = row_of(BY_NAME["checkpoint"], places)
    assert (row.verdict, row.result) == ("fails", "it lacks part of its state")
    assert row.advice


def failing_with(error: Exception) -> Check:
    def run(_: Places) -> Finding:
        raise error

    return Check("some", "some check", "some advice", run)


def test_a_check_that_breaks_fails_and_the_others_go_on(places: Places) -> None:
    checks = failing_with(RuntimeError("CUDA error:\n  an illegal access")), BY_NAME["views"]
    rows = exhaust(device_steps(places, checks))
    assert [(row.verdict, row.advice) for row in rows] == [("fails", "some advice"), ("passes", "")]
    assert rows[0].result == "CUDA error: an illegal access"


def test_a_check_that_runs_out_of_memory_was_not_run(places: Places) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert row_of(failing_with(error), places).verdict == "not-run"


def test_without_an_accelerator_there_is_no_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="torch sees no CUDA device.*install"):
        accelerator_places()


def test_a_faster_way_that_is_slower_is_worth_a_warning(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Places, "precisions", ("fp32", "bf16"))  # whatever this processor has
    rates = {"fp32": throughput.Rate(100, 1e9, None), "bf16": throughput.Rate(50, 5e8, None)}
    told = throughput._told(places, rates, throughput._gains(rates))
    assert (told.verdict, told.values["gains"]) == ("warns", {"bf16": 0.5})
    assert "bf16 is no gain" in told.result


def test_gains_compare_captured_with_eager_and_bf16_with_fp32() -> None:
    names = ("fp32", "fp32 captured", "bf16", "bf16 captured")
    rates = {name: throughput.Rate(float(images), 0.0, None) for name, images in zip(names, (1, 2, 3, 6), strict=True)}
    assert throughput._gains(rates) == {"fp32 captured": 2.0, "bf16": 3.0, "bf16 captured": 2.0}


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.0, "passes"), (1.0, "passes"), (1.5, "warns"), (3.0, "fails"), (float("nan"), "fails")]
)
def test_a_figure_is_graded(value: float, verdict: str) -> None:
    assert graded(value, 1.0, 2.0) == verdict
