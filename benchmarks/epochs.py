"""Epochs of CLAF's stage 2 on random images, driven through the engine's own phases and timed without measurements."""

import time
from collections.abc import Iterator
from typing import Any

import torch

from claf_engine.attacks import ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.device import choose_compute, own_process, synchronise
from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.config import RunConfig, RuntimeConfig
from claf_engine.data import Dataset, Split
from claf_engine.events.ticks import Boundary, PartEnd, Tick, exhaust
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.training.phases.adversarial import adversarial, train_encoder
from claf_engine.training.session import Session
from claf_engine.training.state import begin

NUM_CLASSES = 10
SIZE = 32
NUM_UNSEEN = 2
"""Validation images and test images: phases measure themselves on them, which is not what is timed."""
ENDLESS = 1_000_000
"""Epochs that a session plans; as many are run as the benchmark asks for."""

Rows = tuple[torch.Tensor, ...]


def settle(device: str, precision: str = "auto") -> RuntimeConfig:
    """Choose once what all sides of a benchmark compute with, as a run chooses it at its start."""
    chosen = choose_compute(RuntimeConfig.model_validate({"device": device, "precision": precision}))
    choice = {"device": device, "precision": chosen.precision, "layout": chosen.layout, "threads": chosen.threads}
    return RuntimeConfig.model_validate(choice)


def stage2_config(runtime: RuntimeConfig, batch: int, **sections: Any) -> RunConfig:
    """Settings of stage 2, the defaults but for `sections`; what is not training is kept as small as can be.

    Learning rates are low: random images have nothing to teach, and a loss that diverges ends an epoch.
    """
    plain: dict[str, Any] = {
        "batch_size": batch,
        "features_optimizer": {"learning_rate": 0.01, "schedule": "constant"},
        "probe": {"num_examples": 1},
        "runtime": runtime.model_dump(),
        **sections,
    }
    plain["adversarial"] = {**plain.get("adversarial", {}), "epochs": ENDLESS}
    return RunConfig.model_validate(plain)


class Stage2:
    """One session in stage 2, of which parts can be run again and again.

    Args:
        config: of the run.
        num_images: training images, random and of random classes.
    """

    def __init__(self, config: RunConfig, num_images: int) -> None:
        own_process(config.runtime)
        compute = choose_compute(config.runtime)
        data = random_data(num_images, compute.device)
        self.session = Session(config, compute, data, begin(config, NUM_CLASSES, compute), ENDLESS)
        self.session.state.ledger.accuracy_after_encoder = (
            0.0  # so that the first retraining does not measure what it begins with
        )
        self._target: Target | None = None

    def epoch(self) -> dict[str, float]:
        """Run one epoch; gives the seconds of "retrain" and "encoder", without the measurements after each."""
        session = self.session
        sweeps = {"retrain": session.config.adversarial.classifier_epochs, "encoder": 1}
        steps = {part: number * session.steps_per_sweep for part, number in sweeps.items()}
        return self._timed(adversarial(session), steps)

    def encoder_steps(self) -> dict[str, float]:
        """Run the steps of one epoch's encoder part; gives their seconds as "encoder"."""
        session = self.session
        session.state.cursor.batch = 0
        return self._timed(train_encoder(session), {"encoder": session.steps_per_sweep})

    def attacks(self) -> None:
        """Craft one adversarial image for each training image, as the encoder's steps do."""
        session = self.session
        self._target = target = self._target or Target(
            session.state.network.with_classifier(ATTACK_CLASSIFIER), session.compute
        )
        spec = from_config(session.config.attack, session.config.model)
        generator = session.state.generators[ATTACK_STREAM]
        batches: Rows = torch.split(torch.arange(len(session.data.train)), session.config.batch_size)
        for rows in batches:
            images, labels = session.training_batch(rows)
            target.refresh()
            exhaust(ascent_steps(target.gradient(log_odds, labels), images, spec, generator))

    def _timed(self, ticks: Iterator[Tick], planned: dict[str, int]) -> dict[str, float]:
        """Seconds of each part, from its beginning to the last of its planned optimiser steps."""
        seconds: dict[str, float] = {}
        began = time.perf_counter()
        for tick in ticks:
            if isinstance(tick, Boundary):
                planned[tick.part] -= 1
                if planned[tick.part] == 0:
                    synchronise(self.session.compute.device)
                    seconds[tick.part] = time.perf_counter() - began
            elif isinstance(tick, PartEnd):
                if tick.epoch_ended:
                    break
                began = time.perf_counter()
        return seconds


def random_data(num_images: int, device: torch.device) -> Dataset:
    """Random images (N, 3, 32, 32) of random classes, always the same; two that training does not see in each split."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        images = torch.randint(256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        return Split(images.to(device), torch.randint(NUM_CLASSES, (count,), generator=generator).to(device))

    names = tuple(f"class {number}" for number in range(NUM_CLASSES))
    return Dataset("random", names, split(num_images), split(NUM_UNSEEN), split(NUM_UNSEEN))
