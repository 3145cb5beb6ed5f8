"""Every saving leaves the loss curve of every method where it was: fp32, within a thousandth.

The curves in `losses.json` were recorded before the savings were made (except that BatchNorm was folded already). Where
they were recorded they are equal to the last digit; the tolerance is for other processors, whose sums round
differently.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor

from claf_engine.config import RunConfig
from claf_engine.events.ticks import Boundary
from claf_engine.models import layers
from claf_engine.training.methods import phases_of
from tests.engine.tiny import FP32, tiny_config, tiny_session

TOLERANCE = 1e-3
GOLDEN: dict[str, list[float]] = json.loads((Path(__file__).parent / "losses.json").read_text())
Patch = Callable[[pytest.MonkeyPatch], None]


def config_of(name: str) -> RunConfig:
    method, _, mode = name.partition("-")
    changes: dict[str, Any] = {"supervised__attack_batch_norm": mode} if mode else {}
    return tiny_config(method=method, adversarial__classifier_epochs=2, **changes)


def curve(name: str, **arithmetic: Any) -> list[float]:
    session = tiny_session(config_of(name))
    session = replace(session, compute=replace(FP32, **arithmetic))
    session.compute.place(session.state.network)
    losses = []
    for phase in phases_of(session.config):
        losses += [float(tick.loss) for tick in phase.play(session) if isinstance(tick, Boundary)]
        session.state.cursor.end_phase()
    return losses


@pytest.mark.parametrize("name", GOLDEN)
def test_the_losses_of_a_method_are_those_from_before_the_savings(name: str) -> None:
    assert curve(name) == pytest.approx(GOLDEN[name], rel=TOLERANCE)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_memory_layout_changes_no_loss(name: str) -> None:
    assert curve(name, layout="contiguous") == pytest.approx(GOLDEN[name], rel=TOLERANCE)


def attack_the_model_itself(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("claf_engine.attacks.gradients.fold", lambda model: model)


def keep_the_inputs_of_relu(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(layers.ACTIVATIONS, "relu", F.relu)


def replay_captured_passes(patch: pytest.MonkeyPatch) -> None:
    """What a CUDA graph does, in plain torch: the pass reads buffers that every call fills anew."""

    def capture(work: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Callable[..., Tensor]:
        held = tuple(tensor.detach().clone() for tensor in inputs)

        def replay(*given: Tensor) -> Tensor:
            for buffer, tensor in zip(held, given, strict=True):
                buffer.copy_(tensor)
            return work(*held)

        return replay

    patch.setattr("claf_engine.attacks.gradients.Captured", capture)


@pytest.mark.parametrize("name", ["claf", "at", "trades", "rocl"])
@pytest.mark.parametrize("undo", [attack_the_model_itself, keep_the_inputs_of_relu])
def test_the_same_losses_come_without_the_saving(name: str, undo: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    undo(monkeypatch)
    assert curve(name) == pytest.approx(GOLDEN[name], rel=TOLERANCE)


@pytest.mark.parametrize("name", ["claf", "at", "at-batch", "trades", "rocl"])
def test_replayed_passes_give_the_same_losses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replay_captured_passes(monkeypatch)
    assert curve(name, captures=True) == pytest.approx(GOLDEN[name], rel=TOLERANCE)
