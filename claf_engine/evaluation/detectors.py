"""Detectors by name: what a person may ask for, and how each is opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from claf_engine.accuracy.detectors import Detector
from claf_engine.accuracy.rectifying import RectifierDetector
from claf_engine.accuracy.squeezing_detector import SqueezingDetector
from claf_engine.accuracy.watched import Watched
from claf_engine.compute.device import Compute
from claf_engine.evaluation.defences import DEFENCES, DefenceChoice, open_defence, parse_defence
from claf_engine.models.folding import fold
from claf_engine.terms.errors import ConfigError
from claf_engine.training.checkpoint import load_companion

USUAL_SQUEEZERS = "bit-depth:5+median:2+nlm:13,3,2"
"""The best joint set of Xu et al. for CIFAR-10; on ImageNet it has nlm:11,3,4, on MNIST it is bit-depth:1+median:2."""
USUAL_RATE = 0.05
"""Share of natural images that may be rejected, there."""


@dataclass(frozen=True)
class DetectorKind:
    """What a detector of one name is.

    Attributes:
        usage: how it is written, for a person.
        parse: reads what follows the name and a colon, "" where nothing does, into settings; ConfigError where wrong.
        opened: gives the detector with these settings, of a classifier (images to logits, in eval mode) whose network
            is that of this checkpoint.
        has_weights: whether it is read from a checkpoint of ours.
    """

    usage: str
    parse: Callable[[str], Any]
    opened: Callable[[Any, nn.Module, Path], Detector]
    has_weights: bool = False


@dataclass(frozen=True)
class DetectorChoice:
    """A detector as it is asked for: a name of `DETECTORS`, and its settings."""

    name: str
    settings: Any = None


def parse_squeezers(text: str) -> tuple[DefenceChoice, ...]:
    """Read "bit-depth:5+median:2"; nothing stands for the usual ones.

    Raises:
        ConfigError: one does not exist, is trained, or stands there twice.
    """
    choices = tuple(map(parse_defence, (text or USUAL_SQUEEZERS).split("+")))
    if trained := [choice for choice in choices if DEFENCES[choice.name].has_weights]:
        raise ConfigError(f"squeezing compares with squeezed images, and {trained[0]} is no squeezer; leave it out")
    if len(set(choices)) < len(choices):
        raise ConfigError(f"squeezing:{text} names a squeezer twice; name each once")
    return choices


def _open_squeezing(choices: tuple[DefenceChoice, ...], model: nn.Module, checkpoint: Path) -> Detector:
    return SqueezingDetector(model, tuple(open_defence(choice, checkpoint) for choice in choices))


def _no_settings(text: str) -> None:
    """Nothing may follow the name.

    Raises:
        ConfigError: something does.
    """
    if text:
        raise ConfigError(f"rectifier:{text} has settings, and the rectifier's detector takes none; leave them out")


def _open_rectifier(_: None, model: nn.Module, checkpoint: Path) -> Detector:
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    parts = [load_companion(checkpoint, name).requires_grad_(False).to(device) for name in ("rectifier", "detector")]
    return RectifierDetector(*parts)


DETECTORS: Mapping[str, DetectorKind] = {
    "squeezing": DetectorKind("squeezing[:SQUEEZER+...]", parse_squeezers, _open_squeezing),
    "rectifier": DetectorKind("rectifier", _no_settings, _open_rectifier, has_weights=True),
}


def parse_detector(text: str) -> DetectorChoice:
    """Read "squeezing" or "squeezing:bit-depth:5+median:2".

    Raises:
        ConfigError: there is no such detector, or none with these settings.
    """
    name, colon, argument = text.partition(":")
    kind = DETECTORS.get(name)
    if kind is None or (colon and not argument):
        usages = " or ".join(kind.usage for kind in DETECTORS.values())
        raise ConfigError(f"unknown detector {text[:60]!r}; use {usages}, such as squeezing:bit-depth:5+median:2")
    return DetectorChoice(name, kind.parse(argument))


def open_detector(choice: DetectorChoice, model: nn.Module, checkpoint: Path) -> Detector:
    """The detector of a choice.

    Args:
        choice: of `parse_detector`.
        model: images (N, C, H, W) in [0, 1] to logits (N, K), in eval mode; a squeezing detector compares its answers.
        checkpoint: that is measured; weights of the detector are read from it.

    Raises:
        CheckpointError: the file cannot be read, or its run trained no such detector.
    """
    return DETECTORS[choice.name].opened(choice.settings, model, checkpoint)


def open_watched(
    guards: tuple[DetectorChoice, DefenceChoice | None], model: nn.Module, checkpoint: Path, compute: Compute
) -> Watched:
    """A classifier with its detector beside it, and its defence before both.

    Args:
        guards: the detector, and the defence where there is one.
        model: images (N, C, H, W) in [0, 1] to logits (N, K), in its place.
        checkpoint: that is measured; weights of the guards are read from it.
        compute: where.

    Raises:
        CheckpointError: see `open_detector`.
    """
    (detector, before), folded = guards, fold(model)
    judged, oblivious, adaptive, name = model, folded, folded, ""
    if before is not None:
        defence = open_defence(before, checkpoint)
        judged, oblivious, adaptive = defence.guarded(model), defence.oblivious(folded), defence.guarded(folded)
        name = str(defence)
        for module in (judged, oblivious, adaptive):
            compute.place(module)
    return Watched(judged, open_detector(detector, adaptive.eval(), checkpoint), oblivious, adaptive, name)
