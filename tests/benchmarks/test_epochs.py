"""The epochs that benchmarks time are the engine's own, and their arithmetic is what torch executes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.epochs import Stage2, settle, stage2_config
from benchmarks.roofline import ATTACK, ENCODER, STAGE2, arithmetic_of
from claf_engine.config import RunConfig, RuntimeConfig

BATCH, SWEEPS, STEPS = 4, 2, 3
PLAIN = RuntimeConfig(device="cpu", precision="fp32", layout="contiguous", threads=1, keep_freed_memory=False)


class Executed(TorchDispatchMode):
    """Counts the FLOPs of the convolutions that torch executes."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in {torch.ops.aten.convolution, torch.ops.aten.convolution_backward}:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def config(steps: int = STEPS) -> RunConfig:
    return stage2_config(
        PLAIN,
        BATCH,
        model={"width": 2, "blocks": (1, 1)},
        adversarial={"classifier_epochs": SWEEPS},
        attack={"steps": steps},
    )


def executed(work: Callable[[Stage2], object], batches: int, steps: int = STEPS) -> int:
    stage = Stage2(config(steps), batches * BATCH)
    with Executed() as counter:
        work(stage)
    return counter.total


def test_an_epoch_takes_the_steps_of_algorithm_1_and_tells_the_seconds_of_both_parts() -> None:
    stage = Stage2(config(), 3 * BATCH)
    seconds = stage.epoch()
    assert stage.session.state.cursor.step == 3 * (SWEEPS + 1)
    assert set(seconds) == {"retrain", "encoder"}
    assert min(seconds.values()) > 0


def test_an_epoch_can_be_run_again() -> None:
    stage = Stage2(config(), 2 * BATCH)
    stage.epoch()
    assert set(stage.epoch()) == {"retrain", "encoder"}
    assert stage.session.state.cursor.epoch == 2


def test_encoder_steps_alone_can_be_run_again() -> None:
    stage = Stage2(config(steps=0), 2 * BATCH)
    assert set(stage.encoder_steps()) == set(stage.encoder_steps()) == {"encoder"}
    assert stage.session.state.cursor.step == 2 * 2


def test_the_arithmetic_of_an_epoch_is_what_torch_executes() -> None:
    # The difference of two epochs leaves out what each measures, which depends on the watched image alone.
    torch_counts = executed(Stage2.epoch, 3) - executed(Stage2.epoch, 1)
    assert arithmetic_of(config(), 2)[STAGE2].total() == torch_counts > 0


@pytest.mark.parametrize(
    ("part", "work", "steps"), [(ATTACK, Stage2.attacks, STEPS), (ENCODER, Stage2.encoder_steps, 0)]
)
def test_the_arithmetic_of_a_part_alone_is_what_torch_executes(
    part: str, work: Callable[[Stage2], object], steps: int
) -> None:
    assert arithmetic_of(config(steps), 2)[part].total() == executed(work, 2, steps) > 0


def test_what_an_engine_would_choose_is_settled_once() -> None:
    runtime = settle("cpu", "fp32")
    assert (runtime.precision, runtime.device) == ("fp32", "cpu")
    assert runtime.layout in {"channels_last", "contiguous"}
    assert runtime.threads == torch.get_num_threads()
