"""Defences by name: what a person may ask for, and how each is opened.

A defence of its own weights reads them from the checkpoint that is measured, where its run trained them beside the
network; a squeezer needs none.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from claf_engine.accuracy.defences import Defence
from claf_engine.accuracy.defense_gan import DefenseGan, Descent, starting_points
from claf_engine.accuracy.non_local_means import NonLocalMeans
from claf_engine.accuracy.rectifying import Rectifying
from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.models.generative import Generator
from claf_engine.terms.errors import ConfigError
from claf_engine.training.checkpoint import load_companion

DIGITS = re.compile(r"\d{1,6}(,\d{1,6})*", re.ASCII)


@dataclass(frozen=True)
class DefenceChoice:
    """A defence as it is asked for: a name of `DEFENCES`, and its numbers."""

    name: str
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ":".join([self.name, *([",".join(map(str, self.numbers))] if self.numbers else [])])


@dataclass(frozen=True)
class DefenceKind:
    """What a defence of one name is.

    Attributes:
        usage: how it is written, for a person.
        ranges: what each of its numbers may be.
        opened: gives the defence with these numbers, on the CPU, for the network of this checkpoint.
        usual: its numbers where none are named; None where they must be.
        has_weights: whether it is read from a checkpoint of ours.
    """

    usage: str
    ranges: tuple[range, ...]
    opened: Callable[[tuple[int, ...], Path], Defence]
    usual: tuple[int, ...] | None = None
    has_weights: bool = False


def _defense_gan(numbers: tuple[int, ...], checkpoint: Path) -> Defence:
    restarts, steps = numbers
    generator = load_companion(checkpoint, "generator")
    assert isinstance(generator, Generator)
    return DefenseGan(generator, Descent(starting_points(restarts, generator.latent), steps))


DEFENCES: Mapping[str, DefenceKind] = {
    "bit-depth": DefenceKind("bit-depth:N (N from 1 to 7)", (range(1, 8),), lambda n, _: Squeezing("bit-depth", *n)),
    "median": DefenceKind("median:N (N from 2 to 5)", (range(2, 6),), lambda n, _: Squeezing("median", *n)),
    "nlm": DefenceKind(
        "nlm:SEARCH,PATCH,STRENGTH (odd sides up to 21 and 9, strength 1 to 255 levels)",
        (range(3, 22, 2), range(1, 10, 2), range(1, 256)),
        lambda numbers, _: NonLocalMeans(*numbers),
    ),
    "rectifier": DefenceKind(
        "rectifier", (), lambda _, path: Rectifying(load_companion(path, "rectifier")), usual=(), has_weights=True
    ),
    "defense-gan": DefenceKind(
        "defense-gan:R,L (R restarts of L steps)",
        (range(1, 1001), range(1, 100_001)),
        _defense_gan,
        usual=(10, 200),
        has_weights=True,
    ),
}


def parse_defence(text: str) -> DefenceChoice:
    """Read "bit-depth:4", or "defense-gan" alone where it has usual numbers.

    Raises:
        ConfigError: there is no such defence, or none with these numbers.
    """
    name, colon, argument = text.partition(":")
    kind = DEFENCES.get(name)
    if kind is None or (DIGITS.fullmatch(argument) is None if colon else kind.usual is None):
        usages = [kind.usage for kind in DEFENCES.values()]
        raise ConfigError(f"unknown defence {text!r}; use {', '.join(usages[:-1])} or {usages[-1]}")
    numbers = tuple(map(int, argument.split(","))) if colon else kind.usual or ()
    allowed = len(numbers) == len(kind.ranges) and all(map(range.__contains__, kind.ranges, numbers))
    if not allowed:
        raise ConfigError(f"{name} of {argument} is out of range; use {kind.usage}")
    return DefenceChoice(name, numbers)


def open_defence(choice: DefenceChoice, checkpoint: Path) -> Defence:
    """The defence of a choice, on the CPU.

    Args:
        choice: of `parse_defence`.
        checkpoint: that is measured; weights of the defence are read from it.

    Raises:
        CheckpointError: the file cannot be read, or its run trained no such defence.
    """
    return DEFENCES[choice.name].opened(choice.numbers, checkpoint)
