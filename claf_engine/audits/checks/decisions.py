"""Whether gradients see what decides: the change of a decision, against what the gradient says of it.

A forward pass may choose by values that no gradient flows through: a rounding, a branch, features gated by the class
that was predicted first. Attacks then climb a function that is not the one that decides, and nothing else of them looks
wrong: gradients are there, more steps and more starts find nothing more. But wherever such a choice turns a decision,
the logits move by something that their gradient does not tell.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from claf_engine.attacks import predict
from claf_engine.attacks.gradients import outputs_and_gradient
from claf_engine.audits.bench import Bench
from claf_engine.audits.chance import share
from claf_engine.audits.diagnostic import Check, Finding, NotRun, graded
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Pulse

HALVINGS = 8
"""Of the way between two images: so far are the two sides of a decision apart, a few thousandths of a pixel's range."""
UNTOLD = 0.5
"""Part of the change of a margin from one side to the other that its gradient may leave untold; networks without such
choices leave a few hundredths at most."""
WARNS_AT, FAILS_AT = 0.01, 0.05
"""Share of the decisions that turn by more than gradients tell."""


def frozen_choice(bench: Bench) -> Generator[Pulse, None, Finding]:
    """From each image to one of another class: does the gradient tell how the decision turns on the way?"""
    subject, images = bench.subject, bench.subject.split.images
    batches = torch.split(torch.arange(len(subject.split), device=bench.compute.device), subject.batch_size)
    yield Pulse("what images are taken for", abandonable=True)
    classes = torch.cat([predict(subject.model, to_pixels(images[rows]), bench.compute) for rows in batches])
    if bool((classes == classes[0]).all()):
        raise NotRun("the model takes all images for one class, so that no decision turns between them")
    others = next_of_another_class(classes)
    parts = []
    for rows in batches:
        near, far = to_pixels(images[rows]), to_pixels(images[others[rows]])
        parts.append((yield from _untold_steps(bench, near, far, classes[rows])))
    untold = torch.cat(parts)
    found = share(int((~(untold <= UNTOLD)).sum()), len(classes))
    return Finding(
        graded(found.at_least, WARNS_AT, FAILS_AT),
        f"{found.percentage} of decisions",
        {"share": found.value, "at_least": found.at_least, "median": float(untold.median())},
    )


def next_of_another_class(classes: Tensor) -> Tensor:
    """For each of classes (N,), two of which differ, the row (N,) of the next one, in turn, that is another."""
    count = len(classes)
    ahead = (torch.arange(count, device=classes.device)[:, None] + torch.arange(count, device=classes.device)) % count
    return ahead.gather(1, (classes[ahead] != classes[:, None]).byte().argmax(1, keepdim=True))[:, 0]


def _untold_steps(bench: Bench, near: Tensor, far: Tensor, classes: Tensor) -> Generator[Pulse, None, Tensor]:
    """The part (M,) of the change of a margin, where the decision turns, that the gradient does not tell.

    Args:
        bench: whose model.
        near: (M, C, H, W) of the given classes (M,).
        far: of the same shape, each of another class.
        classes: (M,).
    """
    for number in range(HALVINGS):
        yield Pulse("where decisions turn", number, HALVINGS, abandonable=True)
        middle = (near + far) / 2
        is_near = (predict(bench.subject.model, middle, bench.compute) == classes)[:, None, None, None]
        near, far = middle.where(is_near, near), far.where(is_near, middle)
    rivals = predict(bench.subject.model, far, bench.compute)

    def margin(logits: Tensor) -> Tensor:
        return (logits.gather(1, classes[:, None]) - logits.gather(1, rivals[:, None]))[:, 0]

    sides = [outputs_and_gradient(bench.subject.model, margin, points, bench.compute) for points in (near, far)]
    change = margin(sides[1][0]) - margin(sides[0][0])
    slope = (sides[0][1] + sides[1][1]) / 2
    told = (slope * (far - near)).flatten(1).sum(1)
    return ((change - told).abs() / change.abs()).where(change != told, 0)


CHECKS: tuple[Check, ...] = (
    Check(
        name="frozen-choice",
        title="Gradients tell how a decision turns",
        threshold="warns if over 1 % of decisions turn by twice what gradients tell, fails above 5 %",
        meaning="The forward pass chooses by something that no gradient flows through: a rounding, a branch, a gate by "
        "the predicted class. Attacks climb a function that is not the one that decides, so every figure here is too "
        "high; attack through a smooth stand-in for the choice (BPDA), or the network without it.",
        source="Athalye et al. 2018, section 4 (arXiv 1802.00420): shattered gradients; audit rule of this project",
        run=frozen_choice,
    ),
)
