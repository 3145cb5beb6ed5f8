"""What must be told of the classes before a run begins."""

from claf_engine.accuracy.classes import missing_notices
from claf_engine.config import RunConfig
from claf_engine.data import Dataset
from claf_engine.training.phase import Phase

BY_CLASS = ("contrastive", "adversarial")
"""Phases whose loss pulls an image to its class."""


def missing_classes(data: Dataset) -> tuple[str, ...]:
    """A class without training images has an accuracy of 0 by construction; one without test images has none."""
    untrained, untested = data.missing_classes(data.train), data.missing_classes(data.test)
    sentences = [f"{text}, so that it is never predicted" for text in missing_notices(untrained, "training")]
    return (*sentences, *missing_notices(untested, "test"))


def scarce_positives(config: RunConfig, phases: tuple[Phase, ...], data: Dataset) -> tuple[str, ...]:
    """Say that batches are too small for the classes, where a supervised contrastive loss would rarely meet one twice.

    An anchor then has hardly any positive but the other views of its own image, as in learning without labels.
    """
    others = (min(config.batch_size, len(data.train)) - 1) / len(data.class_names)
    is_by_class = config.contrastive.positives == "class" and any(phase.name in BY_CLASS for phase in phases)
    if not is_by_class or others >= 1:
        return ()
    return (
        f"a batch of {config.batch_size} images holds {others:.2g} others of an anchor's class on average, because "
        f"there are {len(data.class_names)} classes: the contrastive loss learns little of them; raise batch_size",
    )
