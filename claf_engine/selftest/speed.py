"""How fast each piece of training is here, as a share of what the machine attains at most, and where the rest goes.

Convolutions are held against the same convolutions alone (see `roofline`), the contrastive loss against a matrix
product of its size, and what moves images against a plain copy. Where the rest of the time goes is asked of the
profiler of torch, in one more repetition.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch.profiler import ProfilerActivity, profile

from claf_engine.attacks import ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.contention import BUSY, core_time, share_waited
from claf_engine.compute.device import Compute, choose_compute, make_generator, synchronise
from claf_engine.compute.seeding import ATTACK_STREAM, VIEWS
from claf_engine.config import RunConfig
from claf_engine.data.views import make_views
from claf_engine.events.ticks import exhaust
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.selftest.findings import Check, Finding
from claf_engine.selftest.flops import Flops, layers_of
from claf_engine.selftest.places import CPU, Places
from claf_engine.selftest.roofline import (
    DTYPES,
    Arithmetic,
    Convolution,
    arithmetic,
    call_of,
    sample_rates,
    seconds_at,
)
from claf_engine.selftest.throughput import seconds_of
from claf_engine.training.losses import supcon_loss
from claf_engine.training.phases.adversarial import frozen_features
from claf_engine.training.phases.contrastive import NUM_VIEWS, contrastive_loss
from claf_engine.training.session import Session

SIDE = 32
PEAK_SECONDS, PROFILED_SECONDS = 0.2, 0.2
"""On each shape of a convolution, each matrix product and each copy; and on each piece under the profiler."""
KINDS = (
    ("convolutions", ("conv",)),
    ("BatchNorm", ("batch_norm",)),
    ("activations", ("relu", "threshold", "clamp_min", "gelu", "silu")),
    ("matrix products", ("mm", "linear", "matmul")),
    ("copies", ("copy_", "clone", "contiguous", "cat", "stack", "index", "gather", "scatter", "fill_", "zero_")),
    ("sampling", ("grid_sampler", "interpolate", "upsample")),
    ("pooling", ("pool", "mean", "sum")),
    ("optimiser", ("_foreach", "_fused", "addcmul", "addcdiv", "lerp")),
)
"""Of an operator's time; the first kind of which a word is in its name counts."""
ELEMENTWISE, OUTSIDE = "elementwise", "between operators"
TOLD = 3
LITTLE = 0.02
ADVICE = "others used the cores meanwhile, so that these figures are too low: measure again when they do not"


@dataclass(frozen=True)
class Speed:
    """How fast a piece of work was.

    Attributes:
        seconds: of one batch, median.
        attained: what was done a second, in FLOP/s or bytes/s.
        attainable: the same of the machine's best.
        rest: share of the time of each kind of operator, most first, without the one that is held against its best.
    """

    seconds: float
    attained: float
    attainable: float
    rest: dict[str, float]

    @property
    def share(self) -> float:
        """Of what is attainable."""
        return self.attained / self.attainable


class Bench:
    """A run's settings with random images, of which single pieces of training are timed.

    Args:
        config: of the run; its device, precision, layout and threads are chosen as a run chooses them.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.compute = choose_compute(config.runtime)

    @property
    def places(self) -> Places:
        """What the checks of a machine are asked with."""
        return Places(Compute(CPU, "fp32", self.compute.threads), self.compute)

    @cached_property
    def session(self) -> Session:
        """A run that has not trained yet."""
        return self.places.session(self.compute, self.config, num_batches=2)

    @cached_property
    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, 3, 32, 32) in [0, 1] and their labels."""
        return self.session.training_batch(torch.arange(self.config.batch_size))

    def speed(self, work: Callable[[], object], amount: float, at_best: float, own: str) -> Speed:
        """Time a piece of work.

        Args:
            work: one batch.
            amount: FLOPs or bytes of it.
            at_best: seconds that these take at best.
            own: kind of operator that is held against its best.
        """
        seconds = seconds_of(work, self.places)
        rest = shares_of(work, self.compute, max(1, math.ceil(PROFILED_SECONDS / seconds)))
        rest.pop(own, None)
        return Speed(seconds, amount / seconds, amount / at_best, rest)

    def convolved(self, work: Callable[[], object], arithmetic_: Arithmetic) -> Speed:
        """Time a piece of work that consists of convolutions in the main."""
        at_best = seconds_at(arithmetic_, {shape: self._peak(shape) for shape in arithmetic_})
        return self.speed(work, arithmetic_.total(), at_best, "convolutions")

    def moved(self, work: Callable[[], object], num_bytes: int) -> Speed:
        """Time a piece of work that moves so many bytes, read and written."""
        half = torch.empty(max(1, num_bytes // 8), device=self.compute.device)
        other = torch.empty_like(half)
        rate = max(sample_rates(lambda: other.copy_(half), 8 * half.numel(), self.compute.device, PEAK_SECONDS))
        return self.speed(work, num_bytes, num_bytes / rate, "")

    def _peak(self, shape: Convolution) -> float:
        device = self.compute.device
        call = call_of(shape, device, DTYPES[self.compute.precision])
        return max(sample_rates(call, shape.forward_flops, device, PEAK_SECONDS))


def shares_of(work: Callable[[], object], compute: Compute, repeats: int = 1) -> dict[str, float]:
    """Which kinds of operators a piece of work spends its time in, most first, as shares of the whole."""
    is_on_cpu = compute.device.type == "cpu"
    activities = [ProfilerActivity.CPU] if is_on_cpu else [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities):
        work()  # the profiler itself begins with the first operators
        synchronise(compute.device)
    with profile(activities=activities) as profiled:
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        synchronise(compute.device)
        whole = time.perf_counter() - began
    spent: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages():
        microseconds = event.self_cpu_time_total if is_on_cpu else event.self_device_time_total
        if event.key.startswith("aten::"):
            spent[kind_of(event.key)] += microseconds / 1e6
    known = sum(spent.values())
    spent[OUTSIDE] = max(0.0, whole - known)
    return {kind: spent[kind] / max(whole, known) for kind in sorted(spent, key=lambda kind: -spent[kind])}


def kind_of(operator: str) -> str:
    """The kind of an operator of torch, such as "aten::relu_"."""
    name = operator.removeprefix("aten::")
    return next((kind for kind, words in KINDS if any(word in name for word in words)), ELEMENTWISE)


def speed_checks(bench: Bench) -> tuple[Check, ...]:
    """One check for each piece of CLAF's training, in the order in which an epoch has them."""
    pieces: tuple[tuple[str, str, Callable[[Bench], Speed], str], ...] = (
        ("data", "reading a batch of images", data_speed, "B/s"),
        ("views", f"{NUM_VIEWS} random views of each image", views_speed, "B/s"),
        ("attack", "one step of the attack", attack_speed, "FLOP/s"),
        ("retraining", "retraining of the classifier, one batch", retraining_speed, "FLOP/s"),
        ("supcon", "supervised contrastive loss", supcon_speed, "FLOP/s"),
        ("encoder", f"encoder's step on {NUM_VIEWS + 1} views", encoder_speed, "FLOP/s"),
    )
    return tuple(Check(name, title, ADVICE, partial(_asked, bench, ask, unit)) for name, title, ask, unit in pieces)


def data_speed(bench: Bench) -> Speed:
    """A batch of the images that lie in memory, as pixels in [0, 1]."""
    rows = torch.arange(bench.config.batch_size)
    return bench.moved(lambda: bench.session.training_batch(rows), bench.batch[0].numel() * (1 + 4))


def views_speed(bench: Bench) -> Speed:
    """Random views, which read every image and write each of its views."""
    images, generator = bench.batch[0], bench.session.state.generators[VIEWS]
    work = partial(make_views, images, bench.config.views, NUM_VIEWS, generator)
    return bench.moved(work, images.numel() * 4 * (1 + NUM_VIEWS))


def attack_speed(bench: Bench) -> Speed:
    """One gradient of the attack through encoder and classifier, and one step along it."""
    return bench.convolved(_attack(bench, 1), _arithmetic(bench, 1, lambda flops: flops.attack(1)))


def retraining_speed(bench: Bench) -> Speed:
    """The whole attack on a batch, and what the frozen encoder makes of it."""
    steps = bench.config.attack.steps
    attack, target = _attack(bench, steps), _target(bench)

    def work() -> None:
        attack()
        frozen_features(bench.session, target, bench.batch[0])

    return bench.convolved(work, _arithmetic(bench, 1, lambda flops: flops.retraining(1, steps)))


def supcon_speed(bench: Bench) -> Speed:
    """The loss of all views of a batch, and its gradient."""
    num_rows, dim = bench.config.batch_size * (NUM_VIEWS + 1), bench.config.model.projection_dim
    device = bench.compute.device
    drawn = torch.randn(bench.config.batch_size, NUM_VIEWS + 1, dim, generator=make_generator(CPU, 0)).to(device)
    projections = torch.nn.functional.normalize(drawn, dim=2).requires_grad_(True)
    rows = projections.detach().view(num_rows, dim)
    flops = 2 * num_rows**2 * dim
    rate = max(sample_rates(lambda: rows @ rows.T, flops, device, PEAK_SECONDS))
    labels, temperature = bench.batch[1], bench.config.contrastive.temperature

    def work() -> None:
        torch.autograd.grad(supcon_loss(projections, labels, temperature), projections)

    # The gradient takes two products of the same size.
    return bench.speed(work, 3 * flops, 3 * flops / rate, "matrix products")


def encoder_speed(bench: Bench) -> Speed:
    """A whole step of encoder and projection head on two views and the adversarial one."""
    images, labels = bench.batch
    views = images[:, None].expand(-1, NUM_VIEWS + 1, -1, -1, -1).contiguous()
    loss_of = partial(contrastive_loss, bench.session, views, labels)
    work = partial(bench.session.feature_step, loss_of, max(1, bench.config.adversarial.epochs))
    return bench.convolved(work, _arithmetic(bench, NUM_VIEWS + 1, lambda flops: flops.training))


def _target(bench: Bench) -> Target:
    return Target(bench.session.state.network.with_classifier(ATTACK_CLASSIFIER), bench.compute)


def _attack(bench: Bench, steps: int) -> Callable[[], object]:
    images, labels = bench.batch
    target = _target(bench)
    spec = from_config(bench.config.attack.model_copy(update={"steps": steps}), bench.config.model)
    generator = bench.session.state.generators[ATTACK_STREAM]
    return lambda: exhaust(ascent_steps(target.gradient(log_odds, labels), images, spec, generator))


def _arithmetic(bench: Bench, num_views: int, passes: Callable[[Flops], int]) -> Arithmetic:
    layers = layers_of(bench.session.state.network.encoder, (3, SIDE, SIDE))
    images = bench.config.batch_size * num_views
    return arithmetic(layers, images, images, passes)


def _asked(bench: Bench, ask: Callable[[Bench], Speed], unit: str, _places: Places) -> Finding:
    before = core_time()
    found = ask(bench)
    waited = share_waited(before, core_time())
    is_busy = waited is not None and waited >= BUSY
    values = {
        "milliseconds": 1000 * found.seconds,
        "attained": found.attained,
        "attainable": found.attainable,
        "unit": unit,
        "share": found.share,
        "rest": found.rest,
        "waited": waited,
    }
    figure = f"{1000 * found.seconds:,.1f} ms; {scaled(found.attained)} of {scaled(found.attainable)}{unit}"
    return Finding("warns" if is_busy else "passes", told(found), figure, values)


def told(found: Speed) -> str:
    """Say which share is attained and what the rest of the time is spent in, the most of it."""
    most = [f"{kind} {percent(share)}" for kind, share in list(found.rest.items())[:TOLD] if share >= LITTLE]
    return f"{percent(found.share)} of what is attainable" + (f"; {', '.join(most)} of the time" if most else "")


def percent(share: float) -> str:
    """Write a share in percent, a small one with a digit after the point."""
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1f}%"


def scaled(rate: float) -> str:
    """Write a number with a metric prefix: "1.2 T" for 1.2e12."""
    for prefix in ("", "k", "M", "G"):
        if abs(rate) < 1000:
            return f"{rate:.3g} {prefix}"
        rate /= 1000
    return f"{rate:.3g} T"
