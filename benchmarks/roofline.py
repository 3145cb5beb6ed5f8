"""Question 6: how much of the machine's convolution peak does a CLAF stage-2 epoch reach?

The epoch retrains the attack classifier in N sweeps with a K-step attack, then trains the encoder on two views and an
adversarial one. Its arithmetic is counted from the network's structure; only convolutions count, which are all but a
thousandth of it. The peak is what torch.conv2d forward reaches on the same machine for each distinct convolution of the
epoch, at its batch size, in training precision, with inputs and weights in the best layout. "Best" is the fastest
sample of each shape, "sustained" its median over seconds of load, as clocks fall. The seconds that the epoch's
arithmetic would take at these rates, shape by shape, over the seconds that it took, is the share that is reached.
BatchNorm, activations, losses, views, optimisers and the projection of attacks all count as time lost. On a GPU every
epoch begins with the capture of its attacks, so ask for many --batches there.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.common import Measured, Side, alternate, parser, show, write
from benchmarks.epochs import NUM_CLASSES, SIZE, Stage2, settle, stage2_config
from claf_engine.compute.device import choose_compute, make_generator, own_process
from claf_engine.config import RunConfig, RuntimeConfig
from claf_engine.models.network import build_network
from claf_engine.selftest.flops import layers_of
from claf_engine.selftest.roofline import (
    DTYPES,
    Arithmetic,
    Convolution,
    arithmetic,
    call_of,
    sample_rates,
    seconds_at,
)
from claf_engine.training.phases.contrastive import NUM_VIEWS

PEAK, STAGE2, ATTACK, ENCODER = "peak", "stage2", "attack", "encoder"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure peak and parts in turns, print two tables and write the JSON file."""
    wanted = _arguments(argv)
    runtime = settle(wanted.device, wanted.precision)
    config = _config(wanted, runtime, wanted.steps)
    work = arithmetic_of(config, wanted.batches)
    shapes = list(work[STAGE2] | work[ENCODER])
    num_images = wanted.batches * wanted.batch
    sides = [
        Side(PEAK, prepare_peak, (runtime, shapes, wanted.seconds)),
        Side(STAGE2, prepare_stage2, (config, num_images)),
        Side(ATTACK, prepare_attack, (config, num_images)),
        Side(ENCODER, prepare_encoder, (_config(wanted, runtime, 0), num_images)),
    ]
    peak, *parts = alternate(sides, wanted.repeats, wanted.device)
    rates = {
        "best": dict(zip(shapes, map(max, _samples(peak)), strict=True)),
        "sustained": dict(zip(shapes, map(statistics.median, _samples(peak)), strict=True)),
    }
    found = {part.name: reached(part, work[part.name], rates) for part in parts}
    ratios = {name: values["share_of_best"] for name, values in found.items()}
    ratios |= {f"{name}_sustained": values["share_of_sustained"] for name, values in found.items()}
    _show_shapes(shapes, work[STAGE2], rates, wanted.device)
    _show_parts(found, config, wanted.device)
    measured = [
        {**asdict(shape), "share": work[STAGE2][shape] / work[STAGE2].total()}
        | {f"{name}_flops_per_second": rate[shape] for name, rate in rates.items()}
        for shape in shapes
    ]
    settings = {name: value for name, value in vars(wanted).items() if name != "json"}
    settings |= {"precision": runtime.precision, "layout": runtime.layout, "threads": runtime.threads}
    write(wanted.json, {"settings": settings, "ratios": ratios, "parts": found, "shapes": measured}, wanted.device)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    flags.add_argument("--width", type=int, default=64, help="width of the ResNet-18 (default 64)")
    flags.add_argument("--batch", type=int, default=64, help="images of a batch (default 64)")
    flags.add_argument("--batches", type=int, default=2, help="batches of a sweep (default 2)")
    flags.add_argument("--sweeps", type=int, default=5, help="N, sweeps of classifier retraining (default 5)")
    flags.add_argument("--steps", type=int, default=5, help="K, steps of the attack (default 5)")
    flags.add_argument("--precision", choices=("auto", *DTYPES), default="auto", help="of training")
    flags.add_argument("--seconds", type=float, default=0.5, help="on each shape, at each repetition (default 0.5)")
    return flags.parse_args(argv)


def _config(wanted: argparse.Namespace, runtime: RuntimeConfig, steps: int) -> RunConfig:
    return stage2_config(
        runtime,
        wanted.batch,
        model={"width": wanted.width},
        adversarial={"classifier_epochs": wanted.sweeps},
        attack={"steps": steps},
    )


def arithmetic_of(config: RunConfig, batches: int) -> dict[str, Arithmetic]:
    """FLOPs of the convolutions of so many batches: in a stage-2 epoch, in attacks alone, in encoder steps alone.

    The attack alone is that of one sweep; the encoder steps alone train on all views but craft none of them.
    """
    network = build_network(config.model, NUM_CLASSES, make_generator(torch.device("cpu"), 0))
    steps, sweeps = config.attack.steps, config.adversarial.classifier_epochs
    images, num_views = batches * config.batch_size, NUM_VIEWS + 1
    layers = layers_of(network.encoder, (3, SIZE, SIZE))
    single, joined = config.batch_size, num_views * config.batch_size
    work = {
        ATTACK: arithmetic(layers, single, images, lambda flops: flops.attack(steps)),
        ENCODER: arithmetic(layers, joined, images * num_views, lambda flops: flops.training),
    }
    retraining = arithmetic(layers, single, images, lambda flops: flops.retraining(sweeps, steps))
    return {STAGE2: retraining + work[ATTACK] + work[ENCODER], **work}


def prepare_peak(runtime: RuntimeConfig, shapes: Sequence[Convolution], seconds: float) -> Callable[[], Any]:
    """Time every convolution forward; the work gives a list of FLOP/s for each, one entry a sample."""
    own_process(runtime)
    compute = choose_compute(runtime)
    if compute.device.type == "cuda":  # the peak may take whatever is fastest, repeatable or not
        torch.backends.cudnn.deterministic = False
        torch.backends.cudnn.benchmark = True
    calls = [call_of(shape, compute.device, DTYPES[compute.precision]) for shape in shapes]

    def work() -> list[list[float]]:
        return [
            sample_rates(call, shape.forward_flops, compute.device, seconds)
            for call, shape in zip(calls, shapes, strict=True)
        ]

    return work


def prepare_stage2(config: RunConfig, num_images: int) -> Callable[[], Any]:
    """Run a whole epoch; the work gives the seconds of its parts."""
    return Stage2(config, num_images).epoch


def prepare_attack(config: RunConfig, num_images: int) -> Callable[[], Any]:
    """Craft one adversarial view of each image."""
    return Stage2(config, num_images).attacks


def prepare_encoder(config: RunConfig, num_images: int) -> Callable[[], Any]:
    """Run the encoder steps of one epoch; the work gives their seconds."""
    return Stage2(config, num_images).encoder_steps


def reached(part: Measured, work: Arithmetic, rates: dict[str, dict[Convolution, float]]) -> dict[str, Any]:
    """How fast a part was, and the share of each peak that it reached.

    Args:
        part: its repetitions; where one returned the seconds of its parts, their sum counts instead of the whole.
        work: its FLOPs by shape.
        rates: FLOP/s of each shape, by the name of the peak.
    """
    times = [sum(told.values()) if told else took for took, told in zip(part.seconds, part.returned, strict=True)]
    seconds = statistics.median(times)
    found: dict[str, Any] = {"median_seconds": seconds, "seconds": times, "flops": work.total()}
    found["flops_per_second"] = work.total() / seconds
    if part.returned[0]:
        found["part_seconds"] = {
            name: statistics.median(told[name] for told in part.returned) for name in part.returned[0]
        }
    for name, rate in rates.items():
        at_peak = seconds_at(work, rate)
        found[f"{name}_flops_per_second"] = work.total() / at_peak
        found[f"share_of_{name}"] = at_peak / seconds
    return found


def _samples(peak: Measured) -> list[list[float]]:
    """All samples of each shape, of all repetitions."""
    return [[rate for repetition in of_shape for rate in repetition] for of_shape in zip(*peak.returned, strict=True)]


def _show_shapes(
    shapes: Sequence[Convolution], work: Arithmetic, rates: dict[str, dict[Convolution, float]], device: str
) -> None:
    rows = [
        (
            shape.describe(),
            f"{100 * work[shape] / work.total():.1f} %",
            *(f"{rates[name][shape] / 1e9:,.0f}" for name in ("best", "sustained")),
        )
        for shape in shapes
    ]
    columns = ("convolution forward", "of the epoch", "GFLOP/s, best", "sustained")
    show("Peak of each convolution of the epoch", columns, rows, device)


def _show_parts(found: dict[str, dict[str, Any]], config: RunConfig, device: str) -> None:
    titles = {
        STAGE2: f"whole epoch, N = {config.adversarial.classifier_epochs}, K = {config.attack.steps}",
        ATTACK: "attack alone",
        ENCODER: f"encoder steps alone, {NUM_VIEWS + 1} views",
    }
    rows = [
        (
            titles[name],
            f"{part['median_seconds']:.3f}",
            f"{part['flops_per_second'] / 1e9:,.0f}",
            *(f"{part[f'{peak}_flops_per_second'] / 1e9:,.0f}" for peak in ("best", "sustained")),
            *(f"{100 * part[f'share_of_{peak}']:.1f} %" for peak in ("best", "sustained")),
        )
        for name, part in found.items()
    ]
    columns = ("part", "seconds", "GFLOP/s", "peak, best", "sustained", "of best", "of sustained")
    title = f"Roofline of stage 2, width {config.model.width}, batch {config.batch_size}, {config.runtime.precision}"
    show(title, columns, rows, device)


if __name__ == "__main__":
    main()
