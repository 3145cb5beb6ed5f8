"""From settings to a dataset, with pulses on the way so that a screen can show progress."""

from collections.abc import Collection, Generator
from pathlib import Path

import torch

from claf_engine.config import DataConfig
from claf_engine.data.dataset import Dataset, Source, in_channels, require_sizes, split_source
from claf_engine.data.fingerprint import SPLITS, SplitName
from claf_engine.data.folder import PREFIX, folder_source
from claf_engine.data.listing import list_folder
from claf_engine.data.registered import is_registered, registered_source
from claf_engine.data.shapes import shapes_source
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
    source = in_channels((yield from _source_steps(config, needs_train=needs_train)), config.channels)
    return split_source(source, config, device, needs_train=needs_train)


def require_source_sizes(config: DataConfig) -> None:
    """Refuse sizes that a folder of images cannot give, before any image is opened.

    Other sources are not looked at, and neither is a folder that is not there (yet).

    Raises:
        DataError: the folder is not what it should be, or holds fewer images.
    """
    path = config.source.removeprefix(PREFIX)
    if config.source.startswith(PREFIX) and Path(path).expanduser().is_dir():
        labels = list_folder(path).labels
        require_sizes(config, len(labels["train"]), len(labels["test"]))


def load_dataset(config: DataConfig, device: torch.device) -> Dataset:
    """`dataset_steps` without the pulses.

    Raises:
        DataError: see `dataset_steps`.
    """
    return exhaust(dataset_steps(config, device))


def _source_steps(config: DataConfig, *, needs_train: bool) -> Generator[Pulse, None, Source]:
    if config.source.startswith(PREFIX):
        return folder_source(config, needs_train=needs_train)
    if config.source == "cifar10":
        # Imported here, because torchvision takes a second to import and the other sources need none of it.
        from claf_engine.data.cifar10 import cifar10_source

        return cifar10_source(config)
    if is_registered(config.source):
        return registered_source(config)
    return shapes_source(config)
