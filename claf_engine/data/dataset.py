"""What every image source becomes: three splits of uint8 images, resident on the device or streamed to it.

A dataset of 32x32 images is small (CIFAR-10: 180 MB as uint8), so it lives where the network lives and a batch is an
index operation: no workers, no queues, no decoding inside the training loop. What is too large for that is indexed in
the same way and decoded as it is asked for.
"""

import shlex
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from claf_engine.compute.device import make_generator
from claf_engine.compute.seeding import derive_seed
from claf_engine.config import DataConfig
from claf_engine.data.scanning import Scan, scan_steps
from claf_engine.data.statistics import ChannelStatistics, channel_statistics, statistics_of
from claf_engine.data.streamed import Streamed
from claf_engine.events.ticks import exhaust
from claf_engine.models.hashing import hash_tensors
from claf_engine.terms.errors import DataError


@dataclass(frozen=True)
class Split:
    """Images and their labels, in an order of which every prefix holds the classes in proportion.

    Attributes:
        images: (N, C, H, W) uint8, C being 1 or 3, on the device; or streamed to it when they are indexed. Those of any
            network that is measured may be fp32 in [0, 1] instead.
        labels: (N,) int64 in [0, number of classes), on the device.
        scan: what reading all streamed images once has told, where that was done.
    """

    images: Tensor | Streamed
    labels: Tensor
    scan: Scan | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_streamed(self) -> bool:
        """Whether images are decoded when they are asked for."""
        return isinstance(self.images, Streamed)

    def first(self, count: int | None) -> "Split":
        """The first `count` examples, which hold the classes in proportion; all of them when `count` is None."""
        if count is None or count >= len(self):
            return self
        rows = slice(count)
        images = self.images.select(rows) if isinstance(self.images, Streamed) else self.images[rows]
        return Split(images, self.labels[rows])

    @cached_property
    def sha256(self) -> str:
        """Hash of images and labels in their order, made on first use: 0.2 s for the 180 MB of CIFAR-10."""
        if isinstance(self.images, Streamed):
            return (exhaust(scan_steps(self.images, self.labels)) if self.scan is None else self.scan).sha256
        return hash_tensors({"images": self.images, "labels": self.labels})

    @property
    def statistics(self) -> ChannelStatistics:
        """Mean and deviation of each channel of its images."""
        if isinstance(self.images, Streamed):
            scan = exhaust(scan_steps(self.images, self.labels)) if self.scan is None else self.scan
            return statistics_of(scan.counts)
        return channel_statistics(self.images)

    def identity(self) -> dict[str, Tensor]:
        """Tensors that tell these images and labels from others, to be hashed with what was done to them."""
        if isinstance(self.images, Streamed):
            return {"images and labels": torch.frombuffer(bytearray.fromhex(self.sha256), dtype=torch.uint8)}
        return {"images": self.images, "labels": self.labels}


@dataclass(frozen=True)
class Dataset:
    """One source, split: fit on `train`, select on `validation`, report on `test`.

    Attributes:
        name: the source as the settings name it.
        class_names: one name per label, in the order of the labels.
        train: images to fit on.
        validation: images held out of the training pool.
        test: images of the source's own test split.
        notices: a sentence for each thing that was skipped, resized, rebuilt or could not be kept.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    notices: tuple[str, ...] = ()

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.test.images.shape[-2:]
        return height, width

    def close(self) -> None:
        """End what reads images ahead."""
        for split in (self.train, self.validation, self.test):
            if isinstance(split.images, Streamed):
                split.images.close()

    def missing_classes(self, split: Split) -> list[str]:
        """Names of the classes that no image of a split is of."""
        counts = torch.bincount(split.labels, minlength=len(self.class_names)).tolist()
        return [name for name, count in zip(self.class_names, counts, strict=True) if not count]


@dataclass(frozen=True)
class Source:
    """What a source delivers before it is split; tensors are on the CPU.

    Attributes:
        name: the source as the settings name it.
        class_names: one name per label, in the order of the labels.
        pool: what train and validation are taken from.
        test: the source's own test split.
        notices: see `Dataset`.
        validation: the source's own, to select on in place of images held out of the pool; or None.
    """

    name: str
    class_names: tuple[str, ...]
    pool: Split
    test: Split
    notices: tuple[str, ...] = ()
    validation: Split | None = None


def to_pixels(images: Tensor) -> Tensor:
    """Map images of any shape to fp32 pixels in [0, 1]: uint8 values divided by 255, others as they are."""
    return images.float() if images.is_floating_point() else images.float().div_(255)


def in_channels(source: Source, channels: int | None) -> Source:
    """The source with gray images (1) or coloured ones (3), and a notice where they had to be changed.

    Gray is the luma of ITU-R 601 in Pillow's rounding; a gray image in colour has it in all channels.
    """
    found = source.test.images.shape[1]
    if channels in (None, found):
        return source
    change = _to_luma if channels == 1 else _to_colour
    pool, test = (Split(change(split.images[:]), split.labels) for split in (source.pool, source.test))
    notice = (
        f"The images of {source.name} were {'coloured and are taken as gray' if channels == 1 else GRAY_IN_COLOUR}."
    )
    return replace(source, pool=pool, test=test, notices=(*source.notices, notice))


GRAY_IN_COLOUR = "gray and are taken with three equal channels"


def _to_luma(images: Tensor) -> Tensor:
    red, green, blue = images.to(torch.int32).unbind(1)
    luma = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.to(torch.uint8).unsqueeze(1)


def _to_colour(images: Tensor) -> Tensor:
    return images.repeat(1, 3, 1, 1)


def stratified_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """A random order of which every prefix holds the classes in proportion, to within about one image.

    Args:
        labels: (N,) int64, on the CPU.
        generator: on the CPU; consumed the same amount for a given N.

    Returns:
        (N,) int64, a permutation of the indices.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    by_class = shuffled[torch.argsort(labels[shuffled], stable=True)]
    sizes = torch.bincount(labels)
    firsts = torch.cumsum(sizes, 0) - sizes
    rank = torch.empty_like(shuffled)
    rank[by_class] = torch.arange(len(labels)) - firsts[labels[by_class]]
    progress = (rank.double() + 0.5) / sizes[labels]
    return shuffled[torch.argsort(progress[shuffled], stable=True)]


def split_source(source: Source, config: DataConfig, device: torch.device, *, needs_train: bool = True) -> Dataset:
    """Hold out a validation split, take the subsets that were asked for, and move all to the device.

    The choice depends on the labels and `config.seed` alone: the validation images are the same for every `num_train`,
    and a smaller `num_train` or `num_test` takes a subset of a larger one.

    Args:
        source: all images.
        config: how many of them.
        device: where they are wanted.
        needs_train: whether anything is fitted; without, the first two splits are empty, whatever there is.

    Raises:
        DataError: more images are asked for than there are, or none are left to train on.
    """
    test_order = stratified_order(source.test.labels, _order_generator(config, "test"))
    if not needs_train:
        if config.num_test is not None and config.num_test > len(source.test) and not config.at_most:
            raise DataError(
                f"num_test={config.num_test} asks for more than the {len(source.test)} test images of {source.name}; "
                f"give --data {shlex.quote(source.name)} to measure all that there are"
            )
        nothing = _take(source.test, test_order[:0], device)
        test = _take(source.test, test_order[: config.num_test], device)
        return Dataset(source.name, source.class_names, nothing, nothing, test, source.notices)
    own = source.validation
    config, told = fitted(config, len(source.pool), len(source.test), holds_out=own is None)
    require_sizes(config, len(source.pool), len(source.test), holds_out=own is None)
    order = stratified_order(source.pool.labels, _order_generator(config, "split"))
    rest = order[config.num_validation :] if own is None else order
    if own is None:
        validation = _take(source.pool, order[: config.num_validation], device)
    else:
        own_order = stratified_order(own.labels, _order_generator(config, "validation"))
        validation = _take(own, own_order[: config.num_validation], device)
    return Dataset(
        name=source.name,
        class_names=source.class_names,
        train=_take(source.pool, rest[: config.num_train], device),
        validation=validation,
        test=_take(source.test, test_order[: config.num_test], device),
        notices=(*source.notices, *told),
    )


def fitted(
    config: DataConfig, num_pool: int, num_test: int, *, holds_out: bool = True
) -> tuple[DataConfig, tuple[str, ...]]:
    """The settings with sizes that a source can give, where the settings allow it, and a notice of what changed."""
    if not config.at_most:
        return config, ()
    sizes = fitting_sizes(config, num_pool, num_test, holds_out=holds_out)
    if not sizes:
        return config, ()
    settings = " ".join(f"data.{name}={value}" for name, value in sizes.items())
    told = f"{config.source} has {num_pool} training and {num_test} test images, so that {settings} were taken."
    return config.model_copy(update=sizes), (told,)


def require_sizes(config: DataConfig, num_pool: int, num_test: int, *, holds_out: bool = True) -> None:
    """Refuse sizes that do not fit, with all settings that do, in one sentence.

    Args:
        config: what is asked for.
        num_pool: images that there are to train on and to validate with.
        num_test: test images that there are.
        holds_out: whether validation images are taken from those that there are to train on.

    Raises:
        DataError: see `split_source`.
    """
    if not holds_out:
        config = config.model_copy(update={"num_validation": 0})
    complaints, left = [], num_pool - config.num_validation
    if left < 1:
        complaints.append(
            f"num_validation={config.num_validation} leaves nothing to train on, because {config.source} has "
            f"{num_pool} training images"
        )
    elif config.num_train is not None and config.num_train > left:
        complaints.append(
            f"num_train={config.num_train} and num_validation={config.num_validation} together ask for more than the "
            f"{num_pool} training images of {config.source}"
        )
    if config.num_test is not None and config.num_test > num_test:
        complaints.append(
            f"num_test={config.num_test} asks for more than the {num_test} test images of {config.source}"
        )
    if complaints:
        fitting = fitting_sizes(config, num_pool, num_test)
        settings = " ".join(f"--set data.{name}={value}" for name, value in fitting.items())
        raise DataError(f"{'; '.join(complaints)}; take {settings}")


def fitting_sizes(config: DataConfig, num_pool: int, num_test: int, *, holds_out: bool = True) -> dict[str, int]:
    """Values of the settings that must change for a source of so many images, which keep as much as there is.

    A fifth of the training images is held out where the wanted number leaves nothing, or less than a half, to train on.
    """
    sizes: dict[str, int] = {}
    validation = config.num_validation if holds_out else 0
    if 2 * validation > num_pool:
        validation = sizes["num_validation"] = max(1, num_pool // 5)
    if config.num_train is not None and config.num_train > num_pool - validation:
        sizes["num_train"] = max(1, num_pool - validation)
    if config.num_test is not None and config.num_test > num_test:
        sizes["num_test"] = num_test
    return sizes


def _order_generator(config: DataConfig, purpose: str) -> torch.Generator:
    return make_generator(torch.device("cpu"), derive_seed(config.seed, "data", purpose))


def _take(split: Split, indices: Tensor, device: torch.device) -> Split:
    images, labels = split.images, split.labels[indices].to(device)
    if isinstance(images, Streamed):
        return Split(images.select(indices).on(device), labels)
    return Split(images[indices].to(device), labels)
