"""What a reproduction would do without doing it, and how long, from a few seconds of this machine's arithmetic."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from claf_engine.compute.device import Compute, choose_compute, exact_fp32, make_generator
from claf_engine.config import ModelConfig, RunConfig
from claf_engine.data.loading import catalogue_steps
from claf_engine.events.ticks import exhaust
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen, training
from claf_engine.models.network import NATURAL, Network, build_network
from claf_engine.reproduce.auditing import is_audited
from claf_engine.reproduce.choosing import candidates_of, known_choice, units_of_choice
from claf_engine.reproduce.measuring import Measurer
from claf_engine.reproduce.plan import REPRODUCTIONS, ReproductionRequest, RunPlan, plan_run, table_of
from claf_engine.reproduce.rows import Column, Row
from claf_engine.runs.trained import trained_part
from claf_engine.training.methods import phases_of, units_per_image
from claf_engine.training.progress import FP32_COST, PROBE, TEST, WATCH, plan_work

MEASUREMENT_BATCH = 250
SIDE, NUM_CLASSES = 32, 10
OF_COLOUR = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
"""Stands for statistics that are yet to be measured; their values cost no time."""


MIN_SECONDS = 0.5
"""Each kind of work is repeated for at least this long."""


AUTOATTACK_UNITS = (2 * 100 + 9 * 2 * 100 + 9 * 3 * 100 + 5000) / 2
"""APGD, APGD and FAB at nine targets, and 5000 queries of Square Attack, where about half of the images stand."""
AUDIT_UNITS = 250_000
"""Of a quick audit, about: it asks as much of any test set."""
POOLS = {"shapes": (5000, 1000), "cifar10": (50_000, 10_000)}
"""Training and test images of the sources whose size is known."""


@dataclass(frozen=True)
class Rates:
    """Seconds that one image costs in one forward pass or what counts as one (see `methods.Part`).

    Attributes:
        training: a forward and a full backward pass, which count 3, in training precision.
        attack: a forward and a backward pass to the image, which count 2, in training precision.
        exact: the same in fp32, as every figure is measured.
    """

    training: float
    attack: float
    exact: float


class Clock:
    """Estimates durations; times each kind of network once."""

    def __init__(self) -> None:
        self._rates: dict[tuple[ModelConfig, int], Rates] = {}

    def run_seconds(self, config: RunConfig) -> float:
        """Seconds that a whole run will take."""
        rates = self._rates_of(config)
        num_train, num_test = num_images(config)
        seconds = 0.0
        for work in plan_work(config, phases_of(config), num_train, num_test):
            if work.kind in {PROBE, WATCH, TEST}:
                seconds += work.count * work.cost / FP32_COST * rates.exact
            else:
                # Of a step's cost, 3 is the optimiser's pass and the rest mostly attack.
                share = min(1.0, 3 * config.batch_size / max(1e-9, work.cost))
                seconds += work.count * work.cost * (share * rates.training + (1 - share) * rates.attack)
        return seconds

    def measurement_seconds(self, config: RunConfig, columns: tuple[Column, ...], more_units: float = 0.0) -> float:
        """Seconds that the attacks of a table on test images will take, if PGD has to attack every one, and more.

        Nothing is timed where there is nothing to do.
        """
        num_test = num_images(config)[1]
        units = sum(min(num_test, column.num_examples or num_test) * units_of(column) for column in columns)
        units += more_units
        return units * self._rates_of(config).exact if units else 0.0

    def _rates_of(self, config: RunConfig) -> Rates:
        key = config.model, config.batch_size
        if key not in self._rates:
            self._rates[key] = measure_rates(config)
        return self._rates[key]


def units_of(column: Column) -> float:
    """Forward-units that an attack costs on an image, if it has to be attacked to the end."""
    if column.attack == "worst":
        return 0  # of what the other columns found
    return AUTOATTACK_UNITS if column.attack == "autoattack" else column.restarts * (2 + 2 * column.steps)


@dataclass(frozen=True)
class Forecast:
    """One run of a row.

    Attributes:
        row: its place in the table.
        action: "new", "resume", "reuse", or "shared" with a row above.
        run: name of the folder that is there, or what a new one will be called after its date.
        seconds: estimated, until it is trained and measured.
        units: forward-units that its training spends on each image.
        total_units: on all training images.
    """

    row: int
    label: str
    seed: int
    action: str
    run: str
    seconds: float
    units: float
    total_units: float


def forecast(request: ReproductionRequest) -> list[Forecast]:
    """List the runs of a table in the order in which they would be made.

    Raises:
        ConfigError: the table or the data source does not exist.
        DataError: a folder of images is not what it should be.
    """
    table, clock = table_of(request), Clock()
    seen: list[dict[str, object]] = []
    found = []
    for index, row in enumerate(table.rows):
        for seed in range(request.seeds):
            plan = plan_run(request, row, seed)
            part = trained_part(plan.config)
            is_shared = plan.action != "reuse" and part in seen
            seen.append(part)
            is_trained = is_shared or plan.action == "reuse"
            training = 0.0 if is_trained else clock.run_seconds(plan.config) * (1 - plan.done)
            seconds = training + _measurement_seconds(clock, request, plan, row)
            action = "shared" if is_shared else plan.action
            units = units_per_image(plan.config)
            total = units * num_images(plan.config)[0]
            found.append(Forecast(index, row.label, seed, action, _run_of(plan), seconds, units, total))
    return found


def _measurement_seconds(clock: Clock, request: ReproductionRequest, plan: RunPlan, row: Row) -> float:
    """Estimated seconds that a run takes to be measured and audited, as far as it was not."""
    columns, root, units = request.columns, request.root / REPRODUCTIONS, AUDIT_UNITS * request.audit
    if plan.action == "reuse" and plan.directory is not None:
        candidates = candidates_of(plan.directory, row)
        known = known_choice(root, candidates)
        subject = known or candidates[0]
        columns = Measurer(root).missing(subject, plan.config.data, columns)
        units *= not is_audited(root, subject, request.space)
        if known is None:
            units += len(candidates) * units_of_choice(plan.config)
    return clock.measurement_seconds(plan.config, columns, units)


def _run_of(plan: RunPlan) -> str:
    return plan.name if plan.directory is None else plan.directory.name


def num_images(config: RunConfig) -> tuple[int, int]:
    """How many images a run trains on and is tested on; nothing is decoded or downloaded.

    A source that is a function is not called for that, and is taken to have as many as CIFAR-10.

    Raises:
        DataError: a folder of images is not what it should be.
    """
    data = config.data
    found = exhaust(catalogue_steps(data.model_copy(update={"download": False})))
    pool, test = POOLS.get(data.source, POOLS["cifar10"]) if found is None else (len(found.train), len(found.test))
    return data.num_train or max(1, pool - data.num_validation), data.num_test or test


def measure_rates(config: RunConfig) -> Rates:
    """Time the passes of a run's network on random images of 32 by 32."""
    compute = choose_compute(config.runtime)
    generator = make_generator(torch.device("cpu"), 0)
    model = config.model if config.model.num_channels else config.model.model_copy(update=OF_COLOUR)
    network = build_network(model, NUM_CLASSES, generator)
    compute.place(network)
    sizes = (config.batch_size, config.batch_size, MEASUREMENT_BATCH)
    images = [
        torch.rand((size, model.num_channels, SIDE, SIDE), generator=generator).to(compute.device) for size in sizes
    ]
    return Rates(
        training=_timed(lambda: _train(network, images[0], compute), 3 * len(images[0])),
        attack=_timed(lambda: _attack(network, images[1], compute), 2 * len(images[1])),
        exact=_timed(lambda: _attack(network, images[2], exact_fp32(compute)), 2 * len(images[2])),
    )


def _train(network: Network, images: torch.Tensor, compute: Compute) -> float:
    model = network.with_classifier(NATURAL)
    with training(model), compute.autocast():
        loss = model(compute.arrange(images)).sum()
    loss.backward()
    return float(loss.detach())


def _attack(network: Network, images: torch.Tensor, compute: Compute) -> float:
    model = fold(network.with_classifier(NATURAL))
    points = images.detach().requires_grad_(True)
    with frozen(model), torch.enable_grad():
        with compute.autocast():
            loss = model(compute.arrange(points)).sum()
        gradient = torch.autograd.grad(loss, points)[0]
    return float(gradient.sum())


def _timed(work: Callable[[], float], units: int) -> float:
    work()
    started, repeats = time.perf_counter(), 0
    while repeats < 2 or time.perf_counter() - started < MIN_SECONDS:
        work()
        repeats += 1
    return (time.perf_counter() - started) / repeats / units
