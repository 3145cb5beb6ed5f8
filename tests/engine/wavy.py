"""A small classifier for AutoAttack to attack, and the library with few iterations."""

import json
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyautoattack
import torch
from torch import Tensor, nn

from claf_engine.accuracy.autoattack import AutoAttackSuite, autoattack_steps
from claf_engine.accuracy.measure import Accuracy
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from tests.engine.tiny import FP32, exhaust

NUM_CLASSES = 5
RADII = {"linf": Fraction(4, 255), "l2": Fraction(40, 255)}
NAMES = {"linf": "Linf", "l2": "L2"}
EPSILON = RADII["linf"]
BATCH = 7


class Short(pyautoattack.AutoAttack):  # type: ignore[misc]
    """The library with few iterations, on whichever side of a comparison."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.square.n_queries = 30
        for part in (self.apgd, self.apgd_targeted):
            part.n_iter, part.n_iter_2 = 4, 2
        self.fab.n_iter = 2


class Wavy(nn.Module):
    """A random classifier whose decisions change every few grey levels; with BatchNorm, which has a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8 * 36, NUM_CLASSES)
        generator = torch.Generator().manual_seed(5)
        for layer, size in ((self.conv, 1.0), (self.linear, 0.1)):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, 0, size, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(torch.sin(self.norm(self.conv(images - 0.5))).flatten(1))
        return logits


@torch.no_grad()
def classes_of(model: nn.Module, images: Tensor) -> Tensor:
    """What the model takes the images for."""
    classes: Tensor = model(to_pixels(images)).argmax(1)
    return classes


def steps(
    model: nn.Module, split: Split, folder: Path | None = None, batch_size: int = BATCH, **suite: Any
) -> Generator[Pulse, None, Accuracy]:
    radius = RADII[suite.get("norm", "linf")]
    asked = AutoAttackSuite(**{"epsilons": (radius,), "seed": 3, **suite})
    return autoattack_steps(model, split, asked, FP32, batch_size, folder)


def measure(model: nn.Module, split: Split, folder: Path | None = None, **options: Any) -> Accuracy:
    return exhaust(steps(model, split, folder, **options))[1]


def stop_after(attack: Generator[Pulse, None, Accuracy], count: int) -> None:
    """Leave an evaluation right before its batch number `count` + 1."""
    seen = -1
    for pulse in attack:
        seen += pulse.activity.startswith("AutoAttack")
        if seen == count:
            break
    attack.close()
    assert seen == count


def direct(model: nn.Module, split: Split, norm: str = "linf", batch_size: int = BATCH) -> tuple[Tensor, Tensor]:
    """What the library itself says: which examples stand, and the adversarial images."""
    with torch.random.fork_rng(devices=[]):
        library = Short(model, norm=NAMES[norm], eps=float(RADII[norm]), seed=3, device="cpu")
        library.apgd_targeted.n_target_classes = library.fab.n_target_classes = NUM_CLASSES - 1
        images = to_pixels(split.images)
        adversarial, classes = library.run_standard_evaluation(images, split.labels, batch_size=batch_size)
    return classes == split.labels, adversarial


def of_attack(pulses: list[Pulse]) -> list[Pulse]:
    return [pulse for pulse in pulses if pulse.activity.startswith("AutoAttack")]


def saved(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("*.json")
    state: dict[str, Any] = json.loads(file.read_text())
    return state
