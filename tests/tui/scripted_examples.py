"""Adversarial examples of a scripted run: discs, rings and squares that an attack harms less and less."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from claf_engine.runs.examples import About, Answers, CleanExamples, ProbedExamples, write_examples

NUM_WATCHED = 48
Bytes = NDArray[np.uint8]


def clean_examples(num_pictures: int = 8, side: tuple[int, int] = (32, 32), num_classes: int = 3) -> CleanExamples:
    drawn = np.random.default_rng(5)
    labels = np.arange(NUM_WATCHED, dtype=np.int64) % num_classes
    pictures = np.stack([_picture(int(label) % 3, side, drawn) for label in labels[:num_pictures]])
    return CleanExamples(pictures, labels)


def _picture(shape: int, side: tuple[int, int], drawn: np.random.Generator) -> Bytes:
    """A disc, ring or square (3, H, W) in one colour on another."""
    rows, columns = (np.linspace(-1, 1, length) for length in side)
    y, x = np.meshgrid(rows - drawn.uniform(-0.3, 0.3), columns - drawn.uniform(-0.3, 0.3), indexing="ij")
    size = drawn.uniform(0.4, 0.6)
    radius = np.hypot(x, y) / size
    inside = (radius < 1, (radius < 1) & (radius > 0.55), np.maximum(abs(x), abs(y)) < size)[shape]
    front, back = drawn.integers(120, 250, 3), drawn.integers(10, 110, 3)
    levels = np.where(inside, front[:, None, None], back[:, None, None]) + drawn.normal(0, 6, (3, *side))
    return levels.clip(0, 255).astype(np.uint8)


def probed_examples(
    clean: CleanExamples, step: int, strength: float, epoch: int = 5, classifier: str = "attack"
) -> ProbedExamples:
    """What a probe keeps; `strength` in [0, 1] is the share of images that the attack breaks."""
    drawn, labels = np.random.default_rng(9), clean.labels
    num_classes = int(labels.max()) + 1
    harm = drawn.permutation(len(labels)) / len(labels)
    other = (labels + 1) % num_classes
    is_broken, is_wrong = harm < strength, harm < 0.25 * strength**2
    sign = np.sign(drawn.normal(size=clean.pictures.shape) + 0.5).astype(int)
    attacked = (clean.pictures + 8 * sign).clip(0, 255).astype(np.uint8)
    corners = 4 * np.eye(num_classes, 16) * (1.2 - 0.6 * strength)
    before = corners[labels] + drawn.normal(0, 0.5, (len(labels), 16))
    after = before + (corners[other] - corners[labels]) * (0.75 * strength - 0.3 * harm[:, None]).clip(0.05)
    return ProbedExamples(
        About(step, epoch, "2 · adversarial features", classifier),
        "PGD-10 at 8/255",
        attacked,
        Answers(np.where(is_wrong, other, labels), 1 - 0.4 * harm, before.astype(np.float32)),
        Answers(np.where(is_broken, other, labels), 0.5 + 0.45 * (1 - harm), after.astype(np.float32)),
    )


def write_probes(run: Path, steps: tuple[int, ...], clean: CleanExamples | None = None) -> CleanExamples:
    """The examples of some probes of a run that hardens."""
    clean = clean or clean_examples()
    for number, step in enumerate(steps):
        strength = 1.0 - 0.75 * number / max(1, len(steps) - 1)
        write_examples(run, clean, probed_examples(clean, step, strength, epoch=5 * (number + 1)))
    return clean
