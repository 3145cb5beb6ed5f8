"""Which images are trained on, validated with and tested on, where a source does not say it in so many words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from claf_engine.compute.device import make_generator
from claf_engine.compute.seeding import derive_seed
from claf_engine.config import DataConfig
from claf_engine.data.dataset import stratified_order
from claf_engine.data.items import Part
from claf_engine.data.listing import UNDIVIDED

TEST_SHARE = 5
"""One in so many images is held out to test on, where a source has no test images."""

_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}


@dataclass(frozen=True)
class Divided:
    """The parts of a source.

    Attributes:
        train: empty where there are test images alone.
        test: never empty.
        validation: the source's own, or None where validation images are held out of the training ones.
        notices: what was decided.
        key: another one for another division of the same images.
    """

    train: Part
    test: Part
    validation: Part | None = None
    notices: tuple[str, ...] = ()
    key: str = ""


def split_named(text: str) -> str | None:
    """The split that a file or folder name tells: "train", "test" or "validation"; None where it tells none."""
    words = [_WORDS[word] for word in re.split(r"[^a-z]+", text.lower()) if word in _WORDS]
    return words[-1] if words else None


def divide(parts: Mapping[str, Part], config: DataConfig, place: str) -> Divided:
    """Decide what is trained on and what is tested on.

    Without test images the validation images are these, as in ImageNet; without either, a fifth of all images, in
    proportion to their classes and by `data.seed`, is held out.

    Args:
        parts: of "train", "test" and "validation" those that there are; or "all".
        config: its seed, and whether the source's own validation images are wanted.
        place: what sentences call the source.
    """
    train = parts.get("train", parts.get(UNDIVIDED))
    test, validation = parts.get("test"), parts.get("validation")
    if test is None and validation is not None:
        told = f"Took the {len(validation)} validation images of {place} to test on: it has no test images."
        return Divided(train or _none_of(validation), validation, notices=(told,))
    if test is not None:
        own = validation if config.validation == "own" else None
        return Divided(train or _none_of(test), test, own, key="own" if own is not None else "")
    if train is None:
        raise ValueError("a source has training or test images")
    stream = make_generator(torch.device("cpu"), derive_seed(config.seed, "data", "a fifth"))
    order = stratified_order(train.labels, stream)
    count = max(1, len(train) // TEST_SHARE)
    told = (
        f"Held {count} of the {len(train)} images of {place} out to test on, by data.seed={config.seed}: it has no "
        "test images."
    )
    return Divided(train.chosen(order[count:]), train.chosen(order[:count]), notices=(told,), key=f"fifth{config.seed}")


def _none_of(part: Part) -> Part:
    return part.chosen(torch.empty(0, dtype=torch.int64))
