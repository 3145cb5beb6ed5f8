"""Feature squeezing (Xu, Evans and Qi 2018): preprocessing that guards a classifier when it is measured.

Squeezing has a gradient of zero almost everywhere, which stops an attack without making the classifier robust. So a
defended classifier is attacked twice: by an attacker who does not know of the defence, and by one who takes its
gradient for the identity (backward pass differentiable approximation, Athalye, Carlini and Wagner 2018).
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.compute.device import Compute
from claf_engine.data import Split
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, retold
from claf_engine.models.folding import fold
from claf_engine.terms.errors import ConfigError

OBLIVIOUS = "oblivious"
ADAPTIVE = "adaptive"

STRENGTHS: dict[str, range] = {"bit-depth": range(1, 8), "median": range(2, 6)}
"""Strengths that a defence may have: bits of a channel, or side of the window in pixels."""


@dataclass(frozen=True)
class Defence:
    """One squeezer of images.

    Attributes:
        kind: what is squeezed.
        strength: bits for each channel value (1 to 7), or the side of the median's window in pixels (2 to 5).
    """

    kind: Literal["bit-depth", "median"]
    strength: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.strength}"

    def squeeze(self, images: Tensor) -> Tensor:
        """Squeeze images (N, C, H, W) in [0, 1]; the result lies there too."""
        return reduce_bits(images, self.strength) if self.kind == "bit-depth" else smooth(images, self.strength)


def parse_defence(text: str) -> Defence:
    """Read "bit-depth:4" or "median:2".

    Raises:
        ConfigError: there is no such defence, or not of this strength.
    """
    found = re.fullmatch(r"(bit-depth|median):(\d{1,3})", text, re.ASCII)
    if found is None:
        raise ConfigError(f"unknown defence {text!r}; use bit-depth:N (N from 1 to 7) or median:N (N from 2 to 5)")
    kind, strength = found[1], int(found[2])
    allowed = STRENGTHS[kind]
    if strength not in allowed:
        raise ConfigError(f"{kind} of {strength} is out of range; use {kind}:{allowed[0]} to {kind}:{allowed[-1]}")
    return Defence("bit-depth" if kind == "bit-depth" else "median", strength)


def reduce_bits(images: Tensor, bits: int) -> Tensor:
    """Round values in [0, 1] to 2^bits levels: round(x (2^b - 1)) / (2^b - 1) (Xu et al., section III.A)."""
    highest = (1 << bits) - 1
    return (images * highest).round() / highest


def smooth(images: Tensor, side: int) -> Tensor:
    """Median of a side x side window around every pixel of (N, C, H, W) (Xu et al., section III.B).

    The window, the upper median of an even one and the mirrored border, edge included, are those of
    `scipy.ndimage.median_filter(mode="reflect")`, which the paper uses.
    """
    padded = _mirror(_mirror(images, 2, side), 3, side)
    windows = padded.unfold(2, side, 1).unfold(3, side, 1).flatten(4)
    medians: Tensor = windows.sort(dim=-1).values[..., side * side // 2]
    return medians


def _mirror(images: Tensor, dim: int, side: int) -> Tensor:
    """Extend one dimension by what a window needs: d c b a | a b c d | d c b a."""
    size = images.shape[dim]
    index = torch.arange(-(side // 2), size + (side - 1) // 2, device=images.device)
    index = index % (2 * size)
    return images.index_select(dim, torch.minimum(index, 2 * size - 1 - index))


class _StraightThrough(torch.autograd.Function):
    """Squeezed images forwards, the identity backwards."""

    @staticmethod
    def forward(_: Any, images: Tensor, defence: Defence) -> Tensor:
        return defence.squeeze(images)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class Defended(nn.Module):
    """A classifier that sees squeezed images; its gradient passes the squeezing as if that were the identity."""

    def __init__(self, model: nn.Module, defence: Defence) -> None:
        super().__init__()
        self.model = model
        self.defence = defence

    def extra_repr(self) -> str:
        """The defence, which the weights do not tell."""
        return str(self.defence)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K) of the squeezed images."""
        logits: Tensor = self.model(_StraightThrough.apply(images, self.defence))
        return logits


def defended_steps(
    model: nn.Module, defence: Defence, split: Split, suite: AttackSuite, compute: Compute, batch_size: int = 250
) -> Generator[Pulse, None, Accuracy]:
    """Measure a classifier behind a defence: naturally, and under both attackers at every radius.

    Both attackers are always run, and their figures stand as measured: neither is derived from the other.

    Args:
        model: the classifier, images in [0, 1] to logits.
        defence: what stands before it.
        split: what to measure on.
        suite: the attack.
        compute: where; its precision is ignored.
        batch_size: examples attacked at once.

    Returns:
        Natural accuracy with the defence, and for each radius the oblivious figure followed by the adaptive one.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: see `accuracy_steps`.
    """
    defended, folded = Defended(model, defence), fold(model)
    targets = {OBLIVIOUS: folded, ADAPTIVE: Defended(folded, defence)}
    columns: list[tuple[RobustFigure, ...]] = []
    outcomes: list[tuple[Tensor, ...]] = []
    for knowledge, target in targets.items():
        steps = accuracy_steps(defended, split, suite, compute, batch_size, target)
        measured = yield from _named(steps, knowledge)
        columns.append(labelled(measured, defence, knowledge).robust)
        outcomes.append(measured.outcomes)
    robust = tuple(figure for pair in zip(*columns, strict=True) for figure in pair)
    return replace(
        measured, robust=robust, outcomes=tuple(mask for pair in zip(*outcomes, strict=True) for mask in pair)
    )


def labelled(measured: Accuracy, defence: Defence, knowledge: str) -> Accuracy:
    """The same figures, which say what stood before the classifier and whether the attacker knew of it."""
    figures = (replace(figure, defence=str(defence), knowledge=knowledge) for figure in measured.robust)
    return replace(measured, robust=tuple(figures))


def _named(steps: Generator[Pulse, None, Accuracy], knowledge: str) -> Generator[Pulse, None, Accuracy]:
    """The same steps, whose pulses say which attacker is at work."""
    return retold(steps, lambda pulse: replace(pulse, activity=f"{pulse.activity}, {knowledge}"))
