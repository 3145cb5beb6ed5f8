"""Whether a model answers the way attacks take for granted: repeatably, in logits, in eval mode."""

from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from claf_engine.audits.bench import Bench
from claf_engine.audits.crafted import fallen, percent
from claf_engine.audits.diagnostic import Check, Finding, NotRun, graded
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import BATCH_NORMS, batch_statistics, evaluating, frozen

PASSES = 5
MAX_DIFFERENCE = 1e-4
"""Between logits of unit length, from pass to pass."""
SUM_TOLERANCE = 1e-2
"""How far a row of probabilities may sum from 1."""
DRIFT_WARNS_AT, DRIFT_FAILS_AT = 0.02, 0.1
"""Between accuracy with running statistics and with those of the batch."""
MIN_BATCH = 16
"""Images that statistics of a batch need in order to mean something."""


def deterministic_forward(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Ask the same images again and compare the answers."""
    images = _first_batch(bench)
    answers = []
    for number in range(PASSES):
        yield Pulse("asking the same images again", number, PASSES, abandonable=True)
        answers.append(_logits(bench, images))
    difference, num_changed = unrepeatable(torch.stack(answers))
    is_same = num_changed == 0 and difference <= MAX_DIFFERENCE
    return Finding(
        "passes" if is_same else "fails",
        f"{num_changed} of {len(images)} predictions change, logits differ by {difference:.1e}",
        {"num_changed": num_changed, "num_examples": len(images), "logit_difference": difference, "passes": PASSES},
    )


def unrepeatable(answers: Tensor) -> tuple[float, int]:
    """How much logits (R, N, K) of R passes over the same images differ.

    Returns:
        The largest Euclidean distance between two passes of an image's logits, scaled to unit length, in [0, 2]; NaN
        where a logit is not finite. And the number of images whose prediction is not the same in all passes.
    """
    directions = F.normalize(answers, dim=2)
    gaps = (directions[:, None] - directions[None]).norm(dim=3)
    classes = answers.argmax(2)
    return float(gaps.max()), int((classes != classes[:1]).any(0).sum())


def logits(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Whether the model gives logits, and not probabilities, whose logarithm attacks would take twice."""
    yield Pulse("looking at logits", abandonable=True)
    outputs = _logits(bench, _first_batch(bench))
    if not bool(outputs.isfinite().all()):
        return Finding("fails", f"{int((~outputs.isfinite()).sum())} outputs are not finite", {"finite": False})
    low, high = (float(value) for value in torch.aminmax(outputs))
    are_probabilities = low >= 0 and high <= 1 and bool(((outputs.sum(1) - 1).abs() <= SUM_TOLERANCE).all())
    sums = "and every row sums to 1" if are_probabilities else "and are no probabilities"
    return Finding(
        "fails" if are_probabilities else "passes",
        f"outputs lie in [{low:.4g}, {high:.4g}] {sums}",
        {"finite": True, "lowest": low, "highest": high, "are_probabilities": are_probabilities},
    )


def eval_mode(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Whether the model was handed over in eval mode, and whether it can be put into it."""
    yield Pulse("looking at modes", abandonable=True)
    model = bench.subject.model
    left_on = _in_train_mode(model)
    with evaluating(model):
        stuck = _in_train_mode(model)
        num_dropouts = sum(isinstance(module, _DropoutNd) and module.training for module in model.modules())
    values = {"train_mode": left_on, "ignores_eval": stuck, "num_active_dropouts": num_dropouts}
    num_modules = len(list(model.modules()))
    if stuck:
        return Finding("fails", f"{len(stuck)} of {num_modules} modules ignore eval mode: {stuck[0]}", values)
    if left_on:
        return Finding("warns", f"{len(left_on)} of {num_modules} modules in train mode: {left_on[0]}", values)
    return Finding("passes", f"0 of {num_modules} modules in train mode", values)


def _in_train_mode(model: nn.Module) -> list[str]:
    """Modules for a person, such as "encoder.norm (BatchNorm2d)"."""
    return [
        f"{name or 'the model'} ({type(module).__name__})" for name, module in model.named_modules() if module.training
    ]


def batchnorm(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Accuracy with the running statistics of BatchNorm against that with the statistics of each batch."""
    norms = [module for module in bench.subject.model.modules() if isinstance(module, BATCH_NORMS)]
    if not norms:
        raise NotRun("the model has no BatchNorm")
    num_without = sum(norm.running_mean is None for norm in norms)
    if num_without:
        figure = f"{num_without} of {len(norms)} keep no running statistics: predictions depend on the batch"
        return Finding("warns", figure, {"num_without_statistics": num_without})
    if min(len(bench.subject.split), bench.subject.batch_size) < MIN_BATCH:
        raise NotRun(f"statistics of a batch need at least {MIN_BATCH} images")
    running = (yield from bench.natural()).survives
    batch = yield from _batch_correct_steps(bench)
    gap = max(fallen(running, batch), fallen(batch, running), key=lambda estimate: estimate.value)
    accuracies = [float(correct.double().mean()) for correct in (running, batch)]
    return Finding(
        graded(gap.at_least, DRIFT_WARNS_AT, DRIFT_FAILS_AT),
        f"{gap}: {percent(accuracies[0])} with running, {percent(accuracies[1])} with batch statistics",
        {"gap": gap.value, "at_least": gap.at_least, "running": accuracies[0], "batch": accuracies[1]},
    )


def _batch_correct_steps(bench: Bench) -> Generator[Pulse, None, Tensor]:
    """Which examples (N,) are classified correctly with the statistics of batches of at least the subject's size.

    Those of a small batch are poor.
    """
    split = bench.subject.split
    num_batches = max(1, len(split) // bench.subject.batch_size)
    correct = torch.zeros(len(split), dtype=torch.bool)
    for number, rows in enumerate(torch.arange(len(split), device=split.labels.device).tensor_split(num_batches)):
        yield Pulse("accuracy with batch statistics", number, num_batches, abandonable=True)
        with torch.no_grad(), batch_statistics(bench.subject.model), bench.compute.autocast():
            classes = bench.subject.model(bench.compute.arrange(to_pixels(split.images[rows]))).argmax(1)
        correct[rows.cpu()] = (classes == split.labels[rows]).cpu()
    return correct


def _first_batch(bench: Bench) -> Tensor:
    return to_pixels(bench.subject.split.images[: bench.subject.batch_size])


def _logits(bench: Bench, images: Tensor) -> Tensor:
    """Outputs (N, K) of images in [0, 1], in eval mode and in the precision that everything is measured in."""
    with torch.no_grad(), frozen(bench.subject.model), bench.compute.autocast():
        outputs: Tensor = bench.subject.model(bench.compute.arrange(images)).float()
    return outputs


CHECKS: tuple[Check, ...] = (
    Check(
        "deterministic-forward",
        "The model gives the same answer each time it is asked",
        "in 5 passes no prediction changes and logits of unit length differ by at most 1e-4; otherwise fails",
        "The forward pass draws random numbers, so every gradient points elsewhere and attacks look weak; attack the "
        "expectation over the randomness (EOT) before believing the figure.",
        "AutoAttack's check of randomised models (Croce and Hein 2020); Athalye et al. 2018, arXiv 1802.00420",
        deterministic_forward,
        comparisons=0,
    ),
    Check(
        "logits",
        "The model gives logits",
        "finite, and not all rows are probabilities; otherwise fails",
        "Losses take the softmax themselves: over probabilities their gradients all but vanish, and attacks look weak. "
        "Leave the softmax out of the model.",
        "AutoAttack's check of the output range (Croce and Hein 2020)",
        logits,
        comparisons=0,
    ),
    Check(
        "eval-mode",
        "The model is in eval mode",
        "a module in train mode warns, one that stays there fails",
        "Dropout or BatchNorm in train mode makes an answer depend on chance or on the rest of the batch. Figures of "
        "this audit were measured in eval mode; a module that ignores it stays active in them.",
        "RobustBench's warning on train mode (Croce et al. 2021, arXiv 2010.09670)",
        eval_mode,
        comparisons=0,
    ),
    Check(
        "batchnorm",
        "Running statistics of BatchNorm fit the images",
        "a gap of more than 2 points between running and batch statistics warns, of more than 10 fails",
        "The running statistics have drifted away from what the weights were trained with, as they do when a frozen "
        "encoder is left in train mode on attacked images; the model is not the one that was trained.",
        "audit rule of this project; docs/deviations.md on the released code's frozen encoder",
        batchnorm,
        comparisons=2,
    ),
)
