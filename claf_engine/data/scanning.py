"""One pass over streamed images: what tells them from others, and how often each level occurs."""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from claf_engine.data.statistics import LEVELS, count_levels
from claf_engine.data.streamed import Streamed
from claf_engine.events.ticks import Pulse
from claf_engine.models.hashing import begin_tensor, hash_tensors

_BATCH = 256


@dataclass(frozen=True)
class Scan:
    """What all images of a split tell.

    Attributes:
        sha256: the hash that the same images and labels have in memory.
        counts: of levels in each channel (C, 256), see `count_levels`.
    """

    sha256: str
    counts: Tensor


def scan_steps(images: Streamed, labels: Tensor, activity: str = "reading images once") -> Generator[Pulse, None, Scan]:
    """Read all images in their order, ahead of time where there are processes for it.

    Raises:
        DataError: one cannot be read.
    """
    digest, counts = hashlib.sha256(), torch.zeros((images.shape[1], LEVELS), dtype=torch.int64)
    begin_tensor(digest, "images", torch.uint8, images.shape)
    batches = torch.split(torch.arange(len(images)), _BATCH) if len(images) else ()
    images.read_ahead(batches)
    for number, places in enumerate(batches):
        yield Pulse(activity, number * _BATCH, len(images))
        read = images.ahead(places)
        digest.update(read.cpu().numpy().data)
        counts += count_levels(read)
    return Scan(hash_tensors({"labels": labels}, digest), counts)
