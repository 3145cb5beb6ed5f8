"""A folder of PNG and JPEG files as an image source: decoded once, then read from a cache.

Images are brought upright, to one size and to 8-bit RGB; whatever that changes is said in a notice.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from claf_engine.config import DataConfig
from claf_engine.data.cache import Decoded, load_cache, save_cache
from claf_engine.data.dataset import Source, Split
from claf_engine.data.decoding import Unusable, decode, measure
from claf_engine.data.listing import PARTS, Listing, list_folder
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

PREFIX = "folder:"
MIN_SIDE, MAX_SIDE = 8, 256
"""Sides of an image, in pixels, that the source takes: smaller ones vanish in the network, larger ones fill memory."""

MAX_NAMED = 10
"""Files that a refusal names."""

_BATCH = 128
_WORKERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class _Changes:
    """How many images decoding changed, and how."""

    num_resized: int
    num_transparent: int
    num_turned: int


def folder_source(config: DataConfig, *, needs_train: bool = True) -> Generator[Pulse, None, Source]:
    """Read a folder of images, from the cache if it is there and the files have not changed since.

    Without `needs_train` a folder may lack train/; its pool is then empty, and test images give the common size.

    Raises:
        DataError: the folder is not what it should be, or images cannot be used; the message names up to ten of them.
    """
    listing = list_folder(config.source.removeprefix(PREFIX), needs_train=needs_train)
    yield Pulse("reading the image cache", 0, len(listing))
    decoded, notices = load_cache(listing)
    if decoded is None:
        decoded = yield from _decode(listing)
        notices += save_cache(listing, decoded)
    splits = {
        part: Split(decoded.images[part], torch.tensor(listing.labels[part], dtype=torch.int64)) for part in PARTS
    }
    return Source(
        name=config.source,
        class_names=listing.class_names,
        pool=splits["train"],
        test=splits["test"],
        notices=(*_listing_notices(listing), *decoded.notices, *notices),
    )


def _decode(listing: Listing) -> Generator[Pulse, None, Decoded]:
    """Open every image twice: for its size, and, once the common size is known, for its pixels."""
    unusable: list[Unusable] = []
    with ThreadPoolExecutor(_WORKERS) as workers:
        sizes = yield from _measure(listing, workers, unusable)
        size = _common_size(listing, sizes["train"] or sizes["test"])
        images: dict[str, Tensor] = {}
        num_transparent = num_turned = 0
        broken = {bad.file for bad in unusable}
        for part in PARTS:
            files = [file for file in listing.files[part] if file not in broken]
            images[part] = torch.empty((len(files), 3, size[1], size[0]), dtype=torch.uint8)
            done = 0
            for batch in _batches(files):
                yield Pulse(f"decoding {part} images", done, len(files))
                for pixels in workers.map(partial(decode, size=size), batch):
                    if isinstance(pixels, Unusable):
                        unusable.append(pixels)
                        continue
                    images[part][done] = torch.from_numpy(pixels.rgb).permute(2, 0, 1)
                    num_transparent += pixels.was_transparent
                    num_turned += pixels.was_turned
                    done += 1
    if unusable:
        raise _refusal(listing, unusable)
    changes = _Changes(sum(one != size for one in chain.from_iterable(sizes.values())), num_transparent, num_turned)
    return Decoded(
        images,
        tuple(
            _decoding_notices(listing, size, changes)
            + _gray_notices(listing, images["train"] if len(images["train"]) else images["test"])
        ),
    )


def _measure(
    listing: Listing, workers: ThreadPoolExecutor, unusable: list[Unusable]
) -> Generator[Pulse, None, dict[str, list[tuple[int, int]]]]:
    """Width and height of every image; those that have none are added to `unusable`."""
    sizes: dict[str, list[tuple[int, int]]] = {part: [] for part in PARTS}
    for part in PARTS:
        for batch in _batches(listing.files[part]):
            yield Pulse(f"measuring {part} images", len(sizes[part]), len(listing.files[part]))
            for found in workers.map(measure, batch):
                if isinstance(found, Unusable):
                    unusable.append(found)
                else:
                    sizes[part].append((found.width, found.height))
    if not (sizes["train"] if listing.files["train"] else sizes["test"]):
        raise _refusal(listing, unusable)
    return sizes


def _batches(files: list[Path]) -> Iterable[list[Path]]:
    return (files[first : first + _BATCH] for first in range(0, len(files), _BATCH))


def _refusal(listing: Listing, unusable: list[Unusable]) -> DataError:
    """Name every file that cannot be used, up to `MAX_NAMED`."""
    if len(unusable) == 1:
        return DataError(unusable[0].sentence)
    named = ", ".join(f"{bad.file.relative_to(listing.root)} {bad.reason}" for bad in unusable[:MAX_NAMED])
    more = f", and {len(unusable) - MAX_NAMED} more" if len(unusable) > MAX_NAMED else ""
    return DataError(f"{len(unusable)} images of {listing.root} cannot be used: {named}{more}; replace or remove them")


def _common_size(listing: Listing, sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """The most frequent width and height among the training images; of equally frequent ones the largest."""
    counts = Counter(sizes)
    size = max(counts, key=lambda one: (counts[one], one[0] * one[1], one))
    if min(size) < MIN_SIDE or max(size) > MAX_SIDE:
        raise DataError(
            f"most images in {listing.root} are {size[0]}x{size[1]} pixels, and sides must be {MIN_SIDE} to {MAX_SIDE}"
            "; resize them first, for example to 32x32"
        )
    return size


def _decoding_notices(listing: Listing, size: tuple[int, int], changes: _Changes) -> list[str]:
    notices = []
    if changes.num_resized:
        notices.append(
            f"Resized {changes.num_resized} of {len(listing)} images to {size[0]}x{size[1]}, the most common size in "
            f"{listing.root}."
        )
    if changes.num_transparent:
        notices.append(
            f"Dropped the transparency of {changes.num_transparent} of {len(listing)} images in {listing.root}."
        )
    if changes.num_turned:
        notices.append(
            f"Turned {changes.num_turned} of {len(listing)} images in {listing.root} upright, as their EXIF "
            "orientation says."
        )
    return notices


def _gray_notices(listing: Listing, images: Tensor) -> list[str]:
    """Say that all training images are gray, and with which statistics: others than those of photographs in colour."""
    if not all(bool((one == images[:, :1]).all()) for one in (images[:, 1:2], images[:, 2:])):
        return []
    levels = torch.bincount(images[:, 0].flatten(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = float((levels * values).sum() / levels.sum())
    deviation = float((levels * (values - mean) ** 2).sum() / levels.sum()) ** 0.5
    return [
        f"All training images of {listing.root} are gray: their three channels are equal, with mean {mean:.3f} and "
        f"standard deviation {deviation:.3f} of pixels in [0, 1]."
    ]


def _listing_notices(listing: Listing) -> list[str]:
    """What lies in the folder and is not read, or is read from elsewhere."""
    notices = []
    if listing.skipped:
        first = listing.skipped[0].relative_to(listing.root)
        what = "file or folder that is" if len(listing.skipped) == 1 else "files or folders that are"
        notices.append(
            f"Skipped {len(listing.skipped)} {what} not .png or .jpg in a class folder of {listing.root}, "
            f"first {first}."
        )
    if listing.num_below:
        notices.append(
            f"Among what was skipped are {listing.num_below} images in folders inside class folders of {listing.root}; "
            "move them up into their class folder to use them."
        )
    if listing.unused:
        names = " and ".join(f"{name}/" for name in listing.unused)
        notices.append(
            f"Left {names} of {listing.root} alone: validation images are held out of train/ (data.num_validation)."
        )
    if listing.outside:
        first = listing.outside[0].relative_to(listing.root)
        what = "link leads" if len(listing.outside) == 1 else "links lead"
        notices.append(f"{len(listing.outside)} {what} out of {listing.root}, first {first}; what is there is used.")
    return notices
