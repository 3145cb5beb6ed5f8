"""How fast the device is: images a second of the attack and of the encoder's step, and the roofline.

The roofline is what is attained as a share of the device's peak, and the peak is measured here, as the faster of a
large matrix product and the network's most costly convolution alone.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
import torch.nn.functional as F

from claf_engine.attacks import Attack, ascent_steps, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.device import Compute, forget_most_memory, make_generator, most_memory_bytes, synchronise
from claf_engine.events.ticks import exhaust
from claf_engine.models.network import Pipeline
from claf_engine.selftest.agreement import EPSILON, STEP_SIZE
from claf_engine.selftest.findings import Finding
from claf_engine.selftest.flops import Layer, count, layers_of
from claf_engine.selftest.places import CPU, Places
from claf_engine.selftest.roofline import DTYPES
from claf_engine.training.phases.contrastive import contrastive_loss

NUM_VIEWS = 3
"""Of stage 2: two random views and the adversarial one."""
SLOWER = 0.95
"""A faster way that attains less than this share of the slower way's throughput is worth a warning."""


@dataclass(frozen=True)
class Rate:
    """How fast one kind of work went.

    Attributes:
        images: source images a second.
        flops: floating-point operations a second.
        memory: most memory in use, in bytes; None where it is not known.
    """

    images: float
    flops: float
    memory: int | None


@dataclass(frozen=True)
class Peak:
    """The most floating-point operations a second that were seen in one precision."""

    matrix: float
    convolution: float

    @property
    def flops(self) -> float:
        """The larger of both."""
        return max(self.matrix, self.convolution)


def peak_is_measured(places: Places) -> Finding:
    """The peak of each precision."""
    peaks = {precision: peak(places, precision) for precision in places.precisions}
    figure = ", ".join(f"{name} {_tera(each.flops)}" for name, each in peaks.items())
    each = ", ".join(f"{name} {_tera(p.matrix)} and {_tera(p.convolution)}" for name, p in peaks.items())
    values = {f"{name}_{kind}": getattr(p, kind) for name, p in peaks.items() for kind in ("matrix", "convolution")}
    return Finding("passes", f"matrix product and convolution: {each}", figure, values)


def attack_rate(places: Places) -> Finding:
    """PGD through the network in eval mode: every precision, eager and, where that is possible, captured."""
    modes = (False, True) if places.captures else (False,)
    ways = [(precision, captures) for precision in places.precisions for captures in modes]
    rates = {_way(*way): _attack_rate(places, *way) for way in ways}
    return _told(places, rates, _gains(rates))


def encoder_rate(places: Places) -> Finding:
    """A contrastive step on three views of every image, in every precision."""
    rates = {precision: _encoder_rate(places, precision) for precision in places.precisions}
    return _told(places, rates, _gains(rates))


@lru_cache(maxsize=8)
def peak(places: Places, precision: str) -> Peak:
    """Measure what the device attains at most; once a process."""
    compute, dtype, rows = places.compute, DTYPES[precision], places.scale.matrix
    layer = max(_layers(places), key=lambda layer: layer.flops.forward)
    generator = make_generator(compute.device, 0)
    one, other = (torch.randn((rows, rows), generator=generator, device=compute.device).to(dtype) for _ in range(2))
    shape = places.scale.timed_batch, *layer.inputs
    images = torch.rand(shape, generator=make_generator(CPU, 0)).to(compute.device, dtype)
    weight = (torch.rand(layer.weight, generator=make_generator(CPU, 1)) - 0.5).to(compute.device, dtype)
    images, weight = compute.arrange(images), compute.arrange(weight)

    def convolve() -> None:
        F.conv2d(images, weight, None, layer.stride, layer.padding, 1, layer.groups)

    convolved = shape[0] * layer.flops.forward / seconds_of(convolve, places)
    return Peak(2 * rows**3 / seconds_of(lambda: one @ other, places), convolved)


def seconds_of(work: Callable[[], object], places: Places) -> float:
    """Median seconds of a repetition, after two that warm up."""
    device, seconds = places.compute.device, []
    for number in range(2 + places.scale.repeats):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        if number >= 2:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _attack_rate(places: Places, precision: str, captures: bool) -> Rate:
    compute, scale = replace(places.compute, precision=precision, captures=captures), places.scale
    model = places.pipeline(compute, places.config(width=scale.timed_width))
    target, spec = Target(model, compute), Attack(EPSILON, STEP_SIZE, scale.steps)
    images, labels = places.images(compute, "timed", scale.timed_batch)
    generator = make_generator(compute.device, 0)

    def work() -> None:
        exhaust(ascent_steps(target.gradient(log_odds, labels), images, spec, generator))

    return _rate(places, work, compute, count(_layers(places)).attack(scale.steps))


def _encoder_rate(places: Places, precision: str) -> Rate:
    compute, scale = replace(places.compute, precision=precision), places.scale
    session = places.session(compute, places.config(width=scale.timed_width), num_batches=1)
    network = session.state.network
    images, labels = places.images(compute, "timed", scale.timed_batch * NUM_VIEWS)
    views = images.view(scale.timed_batch, NUM_VIEWS, *images.shape[1:])

    def work() -> None:
        session.feature_step(partial(contrastive_loss, session, views, labels[: scale.timed_batch]), 1)

    projected = layers_of(Pipeline(network.encoder, network.projection_head), tuple(images.shape[1:]))
    return _rate(places, work, compute, NUM_VIEWS * count(projected).training)


def _rate(places: Places, work: Callable[[], object], compute: Compute, flops_per_image: int) -> Rate:
    forget_most_memory(compute.device)
    images = places.scale.timed_batch / seconds_of(work, places)
    return Rate(images, images * flops_per_image, most_memory_bytes(compute.device))


def _told(places: Places, rates: dict[str, Rate], gains: dict[str, float]) -> Finding:
    peaks = {precision: peak(places, precision).flops for precision in places.precisions}
    shares = {name: rate.flops / peaks[name.split()[0]] for name, rate in rates.items()}
    figure = ", ".join(f"{name} {rate.images:,.0f} images/s" for name, rate in rates.items())
    share = ", ".join(f"{name} {100 * value:.0f}%" for name, value in shares.items())
    slow = [name for name, gain in gains.items() if gain < SLOWER]
    result = f"{' and '.join(slow)} is no gain; of the peak: {share}" if slow else f"of the peak: {share}"
    values = {
        "images_per_second": {name: rate.images for name, rate in rates.items()},
        "flops_per_second": {name: rate.flops for name, rate in rates.items()},
        "memory_bytes": {name: rate.memory for name, rate in rates.items()},
        "share_of_peak": shares,
        "gains": gains,
    }
    return Finding("warns" if slow else "passes", result, figure, values)


def _gains(rates: dict[str, Rate]) -> dict[str, float]:
    """Throughput of each better way over the plainer one: captured over eager, bf16 over fp32."""
    gains = {}
    for name, rate in rates.items():
        plainer = name.removesuffix(" captured") if name.endswith(" captured") else name.replace("bf16", "fp32")
        if plainer != name:
            gains[name] = rate.images / rates[plainer].images
    return gains


def _way(precision: str, captures: bool) -> str:
    return f"{precision} captured" if captures else precision


def _layers(places: Places) -> list[Layer]:
    model = places.pipeline(places.reference, places.config(width=places.scale.timed_width))
    side = places.scale.side
    return [layer for layer in layers_of(model, (3, side, side)) if layer.is_convolution]


def _tera(flops: float) -> str:
    return f"{flops / 1e12:.1f} TFLOP/s" if flops >= 1e11 else f"{flops / 1e9:.1f} GFLOP/s"
