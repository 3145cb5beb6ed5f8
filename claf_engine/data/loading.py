"""From settings to a dataset, with pulses on the way so that a screen can show progress."""

import math
from collections.abc import Collection, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from claf_engine.compute.device import free_bytes
from claf_engine.config import DataConfig
from claf_engine.data.dataset import Dataset, Source, Split, in_channels, require_sizes, split_source
from claf_engine.data.fingerprint import SPLITS, WORDS, SplitName
from claf_engine.data.folder import PREFIX, folder_catalogue
from claf_engine.data.reading import read_steps
from claf_engine.data.registered import is_registered, registered_source
from claf_engine.data.scanning import scan_steps
from claf_engine.data.shapes import shapes_source
from claf_engine.data.streamed import Streamed
from claf_engine.events.ticks import Pulse, exhaust


def dataset_steps(
    config: DataConfig, device: torch.device, splits: Collection[SplitName] = SPLITS
) -> Generator[Pulse, None, Dataset]:
    """Build, download or decode the source, split it and move it to the device.

    Args:
        config: which source, and how it is split.
        device: where the images are kept.
        splits: those that are needed; where test images are all, a folder may lack the others.

    Yields:
        Pulses with what is being done and how far it is.

    Raises:
        DataError: the source is missing, unreadable, or smaller than what is asked for.
    """
    needs_train = "train" in splits or "validation" in splits
    room = room_for(config, device)
    source = in_channels((yield from _source_steps(config, room, needs_train=needs_train)), config.channels)
    data = split_source(source, config, device, needs_train=needs_train)
    return (yield from _scanned_steps(data, splits))


def require_source_sizes(config: DataConfig) -> None:
    """Refuse sizes that a folder of images cannot give, before any image is opened.

    Other sources are not looked at, and neither is a folder that is not there (yet).

    Raises:
        DataError: the folder is not what it should be, or holds fewer images.
    """
    path = config.source.removeprefix(PREFIX)
    if config.source.startswith(PREFIX) and Path(path).expanduser().is_dir():
        found = folder_catalogue(config)
        require_sizes(config, len(found.train), len(found.test), holds_out=found.validation is None)


def load_dataset(config: DataConfig, device: torch.device) -> Dataset:
    """`dataset_steps` without the pulses.

    Raises:
        DataError: see `dataset_steps`.
    """
    return exhaust(dataset_steps(config, device))


def room_for(config: DataConfig, device: torch.device) -> float:
    """Bytes that decoded images may take: half of what is free where they are wanted, unless the settings decide."""
    if config.resident == "always":
        return math.inf
    return 0 if config.resident == "never" else free_bytes(device) // 2


def _scanned_steps(data: Dataset, splits: Collection[SplitName]) -> Generator[Pulse, None, Dataset]:
    """Read streamed images once, for their hash and their statistics."""
    scanned: dict[str, Any] = {}
    for name in SPLITS:
        split: Split = getattr(data, name)
        if name in splits and isinstance(split.images, Streamed):
            scan = yield from scan_steps(split.images, split.labels, f"reading {WORDS[name]} images once")
            scanned[name] = replace(split, scan=scan)
    return replace(data, **scanned)


def _source_steps(config: DataConfig, room: float, *, needs_train: bool) -> Generator[Pulse, None, Source]:
    if config.source.startswith(PREFIX):
        return read_steps(folder_catalogue(config, needs_train=needs_train), config, room)
    if config.source == "cifar10":
        # Imported here, because torchvision takes a second to import and the other sources need none of it.
        from claf_engine.data.cifar10 import cifar10_source

        return cifar10_source(config)
    if is_registered(config.source):
        return registered_source(config)
    return shapes_source(config)
