"""A second, small model of one's own, for attacks that know nothing of the audited one."""

from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import nn

from claf_engine.accuracy.measure import abandonable
from claf_engine.attacks import attack_steps, crossing_step_size, make_attack
from claf_engine.audits.bench import Bench
from claf_engine.compute.seeding import measurement_generator
from claf_engine.config import ModelConfig
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import training
from claf_engine.models.network import NATURAL, build_network

MODEL = ModelConfig(width=16, blocks=(1, 1, 1), activation="silu", projection_hidden=8, projection_dim=8)
"""Smooth, because smooth models give the better gradients (Xie et al. 2020); its projection head stays unused."""
GRAY = {"mean": (0.5,), "std": (0.25,)}
BATCH = 64
PEAK_RATE = 0.01
ATTACK_STEPS = 3


def surrogate_steps(bench: Bench, train: Split, num_classes: int) -> Generator[Pulse, None, nn.Module]:
    """Train a small residual network adversarially (Madry et al. 2018) at the claim's radius, in pixel space.

    Args:
        bench: says how many images and epochs its budget affords.
        train: images to train on.
        num_classes: of the labels.

    Returns:
        Images (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
    """
    seed, compute, epochs = bench.subject.seed, bench.compute, bench.budget.surrogate_epochs
    split = train.first(bench.budget.fit_images)
    chance = measurement_generator(seed, "surrogate", torch.device("cpu"))
    starts = measurement_generator(seed, "surrogate's attack", compute.device)
    epsilon = bench.subject.epsilon
    spec = make_attack("pgd", epsilon, steps=ATTACK_STEPS, step_size=crossing_step_size(epsilon, ATTACK_STEPS))
    is_gray = split.images.shape[1] == 1
    network = build_network(MODEL.model_copy(update=GRAY) if is_gray else MODEL, num_classes, chance)
    compute.place(network)
    model = network.with_classifier(NATURAL)
    optimizer = torch.optim.Adam(model.parameters(), PEAK_RATE)
    num_batches = -(-len(split) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * num_batches)
    for epoch in range(epochs):
        order = torch.randperm(len(split), generator=chance)
        for number, rows in enumerate(torch.split(order, BATCH)):
            yield Pulse("training a second model", epoch * num_batches + number, epochs * num_batches, abandonable=True)
            on_device = rows.to(compute.device)
            images, labels = to_pixels(split.images[on_device]), split.labels[on_device]
            attacked = yield from abandonable(attack_steps(model, images, labels, spec, starts, compute))
            optimizer.zero_grad(set_to_none=True)
            with training(model):
                F.cross_entropy(model(compute.arrange(attacked)), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return model.eval()
