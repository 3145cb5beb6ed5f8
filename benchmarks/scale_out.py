"""How efficient are several devices, predicted, and is that right for 1, 2 and 4 processes on this processor?

Processes with one thread each take contrastive steps of a small ResNet-18 together, by gloo, as training takes them,
and once more each on its own, which is the computing; the rest of a step is exchange.
The cost model (`claf_engine/selftest/scaling.py`) is fitted to one process, which gives the speed of a core, and to two
all-reduces between two processes, a small and a large one, which give the link. From these it predicts every step.
More processes than cores share them, in the model and here. Times are the shortest of the repetitions, because whatever
else the machine does only makes them longer. The ratio `error_W` is measured over predicted seconds.

With --predict nothing is measured: the table is for GPUs, from --flops and the links that are given.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from benchmarks.common import parser, show, write
from claf_engine.compute.batch_norm import Shared, synchronise_batch_norms
from claf_engine.compute.cores import usable_cores
from claf_engine.compute.world import World
from claf_engine.config import ModelConfig, RunConfig
from claf_engine.models.network import ATTACK_CLASSIFIER, Network, Pipeline, build_network
from claf_engine.selftest.flops import count, layers_of
from claf_engine.selftest.scaling import (
    Cluster,
    Link,
    Step,
    Work,
    all_reduce,
    link_of,
    step_of,
    strong_efficiency,
    weak_efficiency,
)
from claf_engine.training.losses import supcon_loss

NUM_CLASSES, NUM_VIEWS, SEED, SIDE, TEMPERATURE = 10, 2, 0, 32, 0.5
SMALL_BYTES, PATIENCE_SECONDS = 8, 600
CHAIN = 40
"""Small messages one after the other, as a step sends them: what one of them waits for the others counts."""
MESSAGE_COLUMNS = ("processes", "few bytes, ms", "predicted", "gradients, ms", "predicted")
WORLDS = (1, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Task:
    """What every process computes: images of its own, channels of the first stage, timed repetitions."""

    images: int
    width: int
    repeats: int


@dataclass(frozen=True)
class Measured:
    """Shortest seconds of a step, of one that exchanges nothing, and of all-reduces of few bytes and of gradients."""

    step: float
    compute: float
    small: float
    large: float


def main(argv: Sequence[str] | None = None) -> None:
    """Predict, and unless only that was asked for, measure; print the table and write the JSON file."""
    wanted = _arguments(argv)
    if wanted.predict:
        _predict(wanted)
        return
    task = Task(wanted.images, wanted.width, wanted.repeats)
    found = {world: measure(task, world) for world in sorted({1, 2, *wanted.processes})}
    work = work_of(_network(task.width), (3, SIDE, SIDE), 0, NUM_VIEWS)
    link = link_of(found[2].small, found[2].large, work.gradient_bytes)
    cores = usable_cores()
    alone = step_of(work, Cluster(1.0, max(found), link, link), 1, task.images).seconds / found[1].compute
    cluster = Cluster(alone, max(found), link, link, cores)
    steps = {world: step_of(work, cluster, world, task.images) for world in found}
    title = f"{task.images} images of {NUM_VIEWS} views a process, width {task.width}, one thread each, {cores} cores"
    columns = ("processes", "step s", "predicted", "computing", "predicted", "exchange", "predicted")
    show(title, columns, _rows(found, steps))
    sizes = {"small": SMALL_BYTES, "large": work.gradient_bytes}
    messages = {
        world: {name: all_reduce(size, world, link) / cluster.share(world) for name, size in sizes.items()}
        for world in found
        if world > 1
    }
    show("All-reduces alone; two processes gave the link", MESSAGE_COLUMNS, _message_rows(found, messages))
    figures = {
        "ratios": {f"error_{world}": found[world].step / step.seconds for world, step in steps.items()},
        "measured": {world: asdict(each) for world, each in found.items()},
        "predicted": {world: asdict(step) for world, step in steps.items()},
        "messages": messages,
        "link": asdict(link),
    }
    write(wanted.json, figures)


def work_of(network: Network, image_shape: tuple[int, ...], attack_steps: int, num_views: int) -> Work:
    """What a contrastive step of a network exchanges and computes for one image, its attack included."""
    projecting = count(layers_of(Pipeline(network.encoder, network.projection_head), image_shape))
    attacked = count(layers_of(network.with_classifier(ATTACK_CLASSIFIER), image_shape))
    trained = [*network.encoder.parameters(), *network.projection_head.parameters()]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        projection_dim = network.project(torch.zeros(2, *image_shape)).shape[1]
    return Work(
        flops=attacked.attack(attack_steps) + num_views * projecting.training,
        gradient_bytes=4 * sum(parameter.numel() for parameter in trained),
        num_norms=len(norms),
        norm_bytes=4 * sum(2 * norm.num_features for norm in norms),
        num_views=num_views,
        projection_dim=projection_dim,
    )


def measure(task: Task, world: int) -> Measured:
    """Run `world` processes together; what the first of them measured."""
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        processes = [context.Process(target=_serve, args=(task, rank, world, folder)) for rank in range(world)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(PATIENCE_SECONDS)
        codes = [process.exitcode for process in processes]
        for process in processes:
            process.kill()
        if any(codes) or None in codes:
            raise RuntimeError("a process failed or hung; its traceback, if it has one, is above")
        return Measured(**json.loads((Path(folder) / "found.json").read_text()))


def _serve(task: Task, rank: int, size: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    world = World(rank, size)
    network, alone = (_network(task.width) for _ in range(2))
    # The same BatchNorm in both, so that they differ in what is exchanged alone.
    for each, its_world in ((network, world), (alone, World())):
        synchronise_batch_norms(each, World(rank, 2), torch.device("cpu"))
        for module in each.modules():
            if isinstance(module, Shared):
                module.world = its_world
    views = torch.rand((task.images * NUM_VIEWS, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(rank))
    message = torch.ones(work_of(alone, (3, SIDE, SIDE), 0, NUM_VIEWS).gradient_bytes // 4)
    works: dict[str, Callable[[], object]] = {
        "step": lambda: _step(network, views, world),
        "compute": lambda: _step(alone, views, World()),
        "small": lambda: [dist.all_reduce(torch.ones(SMALL_BYTES // 4)) for _ in range(CHAIN)],
        "large": lambda: dist.all_reduce(message),
    }
    found = {name: _shortest_seconds(work, task.repeats) for name, work in works.items()}
    found["small"] /= CHAIN
    if rank == 0:
        (Path(folder) / "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def _step(network: Network, views: Tensor, world: World) -> None:
    """A contrastive step as training takes it, without the optimiser; every process has as many images."""
    network.zero_grad()
    projections = network.project(views)
    local = projections.view(-1, NUM_VIEWS, projections.shape[1])
    part = world.part(len(local) * world.size)
    loss = supcon_loss(local, torch.arange(len(local)) % NUM_CLASSES, TEMPERATURE, part)
    loss.backward()  # type: ignore[no-untyped-call]
    world.sum_gradients(list(network.parameters()), loss.detach())
    world.largest([0, 0, 0])


def _shortest_seconds(work: Callable[[], object], repeats: int) -> float:
    seconds = []
    for number in range(2 + repeats):
        dist.barrier()
        started = time.perf_counter()
        work()
        if number >= 2:
            seconds.append(time.perf_counter() - started)
    return min(seconds)


def _network(width: int) -> Network:
    return build_network(ModelConfig(width=width), NUM_CLASSES, torch.Generator().manual_seed(SEED)).train()


def _rows(found: dict[int, Measured], steps: dict[int, Step]) -> list[tuple[str, ...]]:
    return [
        (
            f"{world}",
            f"{found[world].step:.3f}",
            f"{step.seconds:.3f}",
            f"{found[world].compute:.3f}",
            f"{step.compute:.3f}",
            f"{found[world].step - found[world].compute:.3f}",
            f"{step.seconds - step.compute:.3f}",
        )
        for world, step in steps.items()
    ]


def _message_rows(found: dict[int, Measured], messages: dict[int, dict[str, float]]) -> list[tuple[str, ...]]:
    return [
        (
            f"{world}",
            f"{1e3 * found[world].small:.2f}",
            f"{1e3 * predicted['small']:.2f}",
            f"{1e3 * found[world].large:.2f}",
            f"{1e3 * predicted['large']:.2f}",
        )
        for world, predicted in messages.items()
    ]


def _predict(wanted: argparse.Namespace) -> None:
    """The table for GPUs: a step of stage 2 with the default network, 32x32 images and attack."""
    config = RunConfig()
    network = build_network(config.model, NUM_CLASSES, torch.Generator().manual_seed(SEED))
    work = work_of(network, (3, 32, 32), config.attack.steps, 3)
    inside, between = (
        Link(bandwidth * 1e9, latency * 1e-6, wanted.overhead * 1e-6)
        for bandwidth, latency in zip((wanted.inside, wanted.between), wanted.latency, strict=True)
    )
    cluster = Cluster(wanted.flops * 1e12, wanted.node, inside, between)
    steps = {world: step_of(work, cluster, world, wanted.images) for world in WORLDS}
    weak = {world: weak_efficiency(work, cluster, world, wanted.images) for world in WORLDS}
    strong = {world: strong_efficiency(work, cluster, world, wanted.batch) for world in WORLDS}
    rows = [
        (
            f"{world}",
            *(
                f"{1e3 * part:.1f}"
                for part in (step.seconds, step.compute, step.gradients, step.projections, step.norms)
            ),
            f"{100 * weak[world]:.0f} %",
            f"{100 * strong[world]:.0f} %",
        )
        for world, step in steps.items()
    ]
    title = (
        f"PREDICTED: {wanted.images} images a GPU, or {wanted.batch:,} in all, {config.attack.steps} attack steps; "
        f"{wanted.flops:g} TFLOP/s attained; machines of {wanted.node}: {_told(inside)} inside, "
        f"{_told(between)} between"
    )
    shared = f"{wanted.batch:,} in all"
    columns = ("GPUs", "step ms", "compute", "gradients", "projections", "BatchNorm", f"{wanted.images} each", shared)
    show(title, columns, rows)
    told: dict[str, Any] = {
        "work": asdict(work),
        "steps": {world: asdict(step) for world, step in steps.items()},
        "weak": weak,
        "strong": strong,
    }
    write(wanted.json, told)


def _told(link: Link) -> str:
    return f"{link.bandwidth / 1e9:g} GB/s and {1e6 * link.latency:g} us a hop"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    flags.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="processes that are measured")
    flags.add_argument("--images", type=int, default=None, help="of a process (default 64), or of a GPU (default 256)")
    flags.add_argument("--width", type=int, default=16, help="of the measured network (default %(default)s)")
    flags.add_argument("--predict", action="store_true", help="predict for GPUs, and measure nothing")
    flags.add_argument("--batch", type=int, default=16384, help="images of all GPUs together (default %(default)s)")
    flags.add_argument("--flops", type=float, default=180, help="TFLOP/s that a GPU attains (default %(default)s)")
    flags.add_argument("--node", type=int, default=8, help="GPUs of a machine (default %(default)s)")
    flags.add_argument("--inside", type=float, default=300, help="GB/s of a GPU inside a machine (default %(default)s)")
    flags.add_argument("--between", type=float, default=40, help="GB/s of a GPU between machines (default %(default)s)")
    flags.add_argument(
        "--latency",
        type=float,
        nargs=2,
        default=(2, 5),
        help="microseconds of a hop inside and between (default 2 and 5)",
    )
    flags.add_argument("--overhead", type=float, default=20, help="microseconds of a call (default %(default)s)")
    arguments = flags.parse_args(argv)
    arguments.images = arguments.images or (256 if arguments.predict else 64)
    return arguments


if __name__ == "__main__":
    main()
