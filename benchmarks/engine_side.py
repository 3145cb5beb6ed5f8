"""How a benchmark drives the engine's phases in memory, and what the other side needs to compute the same numbers.

There is no run directory, no probe and no checkpoint: what is timed is the phase alone. Images are random, because the
time of a step does not depend on what they show.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import straightforward
from benchmarks.common import Measured
from benchmarks.epochs import NUM_CLASSES, random_data
from claf_engine.compute.cores import usable_cores
from claf_engine.compute.device import choose_compute, own_process, synchronise
from claf_engine.compute.seeding import ATTACK_STREAM, ORDER
from claf_engine.config import OptimizerConfig, RunConfig, RuntimeConfig
from claf_engine.config.messages import Layer
from claf_engine.config.presets import parse_override, resolve_layers
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Boundary, PartEnd, Tick
from claf_engine.models.network import Network
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.session import Session
from claf_engine.training.state import begin

Mark = float | torch.cuda.Event
ENDLESS = 1_000_000
"""Epochs of a phase that goes on for as long as it is measured."""
STEADY = {"learning_rate": 0.01, "schedule": "constant"}
"""Of encoders: low and constant, so that one epoch is like another and random labels make no loss diverge."""
CHECKED_BATCH, CHECKED_WIDTH = 8, 16
CHECKED_IN = (
    "runtime.precision=fp32",
    "runtime.layout=contiguous",
    "runtime.threads=1",
    "runtime.keep_freed_memory=false",
    "features_optimizer.learning_rate=0.001",
    "supervised.optimizer.learning_rate=0.001",
)
"""Batch, largest width and settings of the short runs that show that both sides compute the same. They leave this
process as it is, and they keep rounding small: where a gradient is almost zero, rounding chooses the sign that an
attack follows, and learning amplifies that."""


@dataclass(frozen=True)
class Size:
    """How much is computed.

    Attributes:
        images: images of an epoch.
        batch: images of a step.
        width: channels of the ResNet-18's first stage.
    """

    images: int
    batch: int
    width: int

    def __str__(self) -> str:
        return f"{self.images} images in batches of {self.batch}, width {self.width}"

    @property
    def checked(self) -> "Size":
        """The same in small: two batches."""
        return Size(2 * CHECKED_BATCH, CHECKED_BATCH, min(self.width, CHECKED_WIDTH))


class Loading:
    """Batches of a data loader, with a clock that can leave out the waiting for them."""

    def __init__(self, batches: straightforward.Batches) -> None:
        self._batches = batches
        self._waited = 0.0

    def __iter__(self) -> Iterator[Sequence[Tensor]]:
        iterator = iter(self._batches)
        while True:
            started = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def clock(self, work: Callable[[], object], device: str) -> tuple[float, float]:
        """Do some work over these batches.

        Returns:
            Its seconds, on an accelerator without the waiting, as if worker processes hid all of that; and the seconds
            of waiting, which are exact because each step ends by reading its loss.
        """
        self._waited, started = 0.0, time.perf_counter()
        work()
        synchronise(torch.device(device))
        seconds = time.perf_counter() - started
        return (seconds if device == "cpu" else seconds - self._waited), self._waited


class SharedBatches:
    """The batches that the engine draws from a session's state, for the straightforward loops.

    Args:
        session: one that nothing else draws from.
        views: images (B, 3, H, W) in [0, 1] to the tensors that come before the labels.
    """

    def __init__(self, session: Session, views: Callable[[Tensor], Sequence[Tensor]]) -> None:
        self._session, self._views = session, views

    def __iter__(self) -> Iterator[Sequence[Tensor]]:
        train = self._session.data.train
        order = torch.randperm(len(train), generator=self._session.state.generators[ORDER])
        for rows in torch.split(order.to(train.labels.device), self._session.config.batch_size):
            yield *self._views(to_pixels(train.images[rows])), train.labels[rows]


def add_size_flags(made: argparse.ArgumentParser, images: int, batch: int) -> None:
    """Add --images, --batch and --width."""
    made.add_argument("--images", type=int, default=images, help=f"images of an epoch (default {images})")
    made.add_argument("--batch", type=int, default=batch, help=f"images of a step (default {batch})")
    made.add_argument(
        "--width", type=int, default=64, help="channels of the first stage of the ResNet-18 (default 64, the usual one)"
    )


def configure(size: Size, runtime: RuntimeConfig, values: dict[str, Any], overrides: Sequence[str] = ()) -> RunConfig:
    """The settings of a run: the defaults, those of the benchmark, and KEY=VALUE on top.

    Raises:
        ConfigError: a key or value is wrong.
    """
    sized = {"batch_size": size.batch, "model": {"width": size.width}, "runtime": runtime.model_dump(mode="json")}
    layers = [Layer("size", sized), Layer("benchmark", values)]
    return resolve_layers(layers, [parse_override(text) for text in overrides])


def start_session(config: RunConfig, num_images: int) -> Session:
    """A run that has not trained yet, on random images; sets this process up as a run does."""
    own_process(config.runtime)
    compute = choose_compute(config.runtime)
    data = random_data(num_images, compute.device)
    return Session(config, compute, data, begin(config, NUM_CLASSES, compute), feature_epochs(phases_of(config)))


def plain_images(size: Size) -> Split:
    """The images of the same run on the CPU, where a data loader wants them."""
    return random_data(size.images, torch.device("cpu")).train


def described(runtime: RuntimeConfig) -> str:
    """What the engine computes with, for a title."""
    return f"{runtime.precision} {runtime.layout}"


def play_epoch(ticks: Iterator[Tick], device: torch.device, parts: Sequence[str]) -> dict[str, float]:
    """Play a phase to the end of its epoch.

    Returns:
        Seconds of each part until its last step, under the given names: what it measures afterwards is left out.
    """
    seconds, began = [], mark(device)
    stepped = began
    for tick in ticks:
        if isinstance(tick, Boundary):
            stepped = mark(device)
        if isinstance(tick, PartEnd):
            seconds.append(seconds_between(began, stepped))
            began = stepped = mark(device)
            if tick.epoch_ended:
                break
    return dict(zip(parts, seconds, strict=True))


def mark(device: torch.device) -> Mark:
    """This moment: on an accelerator, when it has come this far, for which nobody waits here."""
    if device.type == "cpu":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def seconds_between(first: Mark, last: Mark) -> float:
    """Seconds from one mark to another of the same device."""
    if isinstance(first, torch.cuda.Event):
        assert isinstance(last, torch.cuda.Event)
        last.synchronize()
        return float(first.elapsed_time(last)) / 1000
    assert isinstance(last, float)
    return last - first


def median_seconds(measured: Measured, parts: Sequence[str]) -> float:
    """Median seconds of a repetition that returned those of its parts, under these names."""
    return float(statistics.median(sum(returned[part] for part in parts) for returned in measured.returned))


def losses_of(ticks: Iterator[Tick]) -> list[float]:
    """Play a phase to its end; the loss of each step."""
    return [float(tick.loss) for tick in ticks if isinstance(tick, Boundary)]


def plain_model(size: Size, device: str) -> straightforward.Model:
    """A model of the straightforward side, with as many threads as the engine takes and torch's own defaults else.

    On an accelerator cuDNN tries its algorithms out, as most training scripts let it.
    """
    torch.set_num_threads(usable_cores())
    torch.backends.cudnn.benchmark = True
    return straightforward.Model(size.width, NUM_CLASSES).to(device)


def twin_of(session: Session, classifier: str) -> straightforward.Model:
    """A model of the straightforward side that begins with the weights of the session, on its device."""
    network: Network = session.state.network
    twin = straightforward.Model(session.config.model.width, NUM_CLASSES).to(session.compute.device)
    copy_weights(network.encoder, twin.encoder)
    copy_weights(network.projection_head, twin.head)
    copy_weights(network.classifiers[classifier], twin.classifier)
    return twin


def plain_sgd(config: OptimizerConfig, *modules: nn.Module) -> torch.optim.Optimizer:
    """Torch's SGD with the settings of one of the engine's optimisers, whose schedule must stand still."""
    assert (config.name, config.schedule) == ("sgd", "constant")
    return torch.optim.SGD(
        [parameter for module in modules for parameter in module.parameters()],
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )


def shared_noise(session: Session, draw: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """The numbers that the engine draws for the start of an attack; `draw` is torch.rand or torch.randn."""
    generator = session.state.generators[ATTACK_STREAM]
    return lambda like: draw(like.shape, generator=generator, device=like.device)


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers by their order; the names may differ, the shapes may not."""
    tensors = source.state_dict().values()
    target.load_state_dict(dict(zip(target.state_dict(), tensors, strict=True)))


def differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Relative difference between the losses of two runs, step by step."""
    return [abs(one - other) / abs(other) for one, other in zip(ours, theirs, strict=True)]
