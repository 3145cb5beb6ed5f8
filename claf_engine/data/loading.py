"""From settings to a dataset, with pulses on the way so that a screen can show progress."""

import math
from collections.abc import Collection, Generator
from dataclasses import replace
from typing import Any

import torch

from claf_engine.compute.device import free_bytes
from claf_engine.config import DataConfig
from claf_engine.config.sources import FOLDER, SHARDS, TABLES, TORCHVISION, file_of
from claf_engine.data.dataset import Dataset, Source, Split, in_channels, split_source
from claf_engine.data.fingerprint import SPLITS, WORDS, SplitName
from claf_engine.data.folder import folder_catalogue
from claf_engine.data.functions import function_steps
from claf_engine.data.items import Catalogue
from claf_engine.data.reading import read_steps
from claf_engine.data.registered import is_registered, registered_source
from claf_engine.data.scanning import scan_steps
from claf_engine.data.shapes import shapes_source
from claf_engine.data.shards import shards_steps
from claf_engine.data.streamed import Streamed
from claf_engine.data.tables import table_steps
from claf_engine.data.torchvision_sets import torchvision_steps
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.terms.errors import DataError


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
    data = split_source(_with_size_told(source, config), config, device, needs_train=needs_train)
    return (yield from _scanned_steps(data, splits))


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


def _with_size_told(source: Source, config: DataConfig) -> Source:
    """Say that images keep their size where another is asked for, as those that are drawn or a plugin's do."""
    height, width = source.test.images.shape[-2:]
    if config.image_size is None or (height, width) == (config.image_size, config.image_size):
        return source
    told = f"The images of {source.name} keep their {width}x{height} pixels: data.image_size does not change them."
    return replace(source, notices=(*source.notices, told))


def _scanned_steps(data: Dataset, splits: Collection[SplitName]) -> Generator[Pulse, None, Dataset]:
    """Read streamed images once, for their hash and their statistics."""
    scanned: dict[str, Any] = {}
    for name in SPLITS:
        split: Split = getattr(data, name)
        if name in splits and isinstance(split.images, Streamed):
            scan = yield from scan_steps(split.images, split.labels, f"reading {WORDS[name]} images once")
            scanned[name] = replace(split, scan=scan)
            if name != "train":
                split.images.close()
    return replace(data, **scanned)


def catalogue_steps(config: DataConfig, *, needs_train: bool = True) -> Generator[Pulse, None, Catalogue | None]:
    """List the images of a source without decoding them; None of one that has nothing to list.

    Raises:
        DataError: the source is missing or unreadable.
    """
    source = config.source
    if source.startswith(FOLDER):
        return folder_catalogue(config, needs_train=needs_train)
    if source.startswith(TORCHVISION):
        return (yield from torchvision_steps(config))
    if source.startswith(TABLES):
        return (yield from table_steps(config))
    if source.startswith(SHARDS):
        return (yield from shards_steps(config))
    return (yield from function_steps(config)) if file_of(source) is not None else None


def _source_steps(config: DataConfig, room: float, *, needs_train: bool) -> Generator[Pulse, None, Source]:
    catalogue = yield from catalogue_steps(config, needs_train=needs_train)
    if catalogue is not None:
        return (yield from read_steps(catalogue, config, room))
    if config.source == "cifar10":
        return (yield from _cifar10_source(config))
    if is_registered(config.source):
        return (yield from registered_source(config))
    return (yield from shapes_source(config))


def _cifar10_source(config: DataConfig) -> Generator[Pulse, None, Source]:
    # Imported here, because torchvision takes a second to import and the other sources need none of it.
    try:
        from claf_engine.data.cifar10 import cifar10_source
    except (ImportError, RuntimeError) as error:  # RuntimeError: it was built for another torch
        raise DataError(
            f"CIFAR-10 is read with torchvision, which cannot be imported here ({error}); `claf-tui doctor` says what "
            "to do"
        ) from error
    return cifar10_source(config)
