"""A folder of PNG and JPEG files as an image source: decoded once, then read from a cache.

Images are brought to one size and to 8-bit RGB; whatever that changes is said in a notice.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from claf_engine.config import DataConfig
from claf_engine.data.cache import Decoded, load_cache, save_cache
from claf_engine.data.dataset import Source, Split
from claf_engine.data.listing import PARTS, Listing, list_folder
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

PREFIX = "folder:"
MIN_SIDE, MAX_SIDE = 8, 256
"""Sides of an image, in pixels, that the source takes: smaller ones vanish in the network, larger ones fill memory."""

_BATCH = 128
_WORKERS = min(8, os.cpu_count() or 1)


def folder_source(config: DataConfig, *, needs_training: bool = True) -> Generator[Pulse, None, Source]:
    """Read a folder of images, from the cache if it is there and the files have not changed since.

    Without a need for training images a folder of test images alone will do.

    Raises:
        DataError: the folder is not what it should be, or an image cannot be read; the message names it.
    """
    listing = list_folder(config.source.removeprefix(PREFIX), needs_training=needs_training)
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
        notices=(*_skipped_notices(listing), *decoded.notices, *notices),
    )


def _decode(listing: Listing) -> Generator[Pulse, None, Decoded]:
    """Open every image twice: for its size, and, once the common size is known, for its pixels."""
    sizes: dict[str, list[tuple[int, int]]] = {part: [] for part in PARTS}
    images: dict[str, Tensor] = {}
    num_transparent = 0
    with ThreadPoolExecutor(_WORKERS) as workers:
        for part in PARTS:
            for batch in _batches(listing.files[part]):
                yield Pulse(f"measuring {part} images", len(sizes[part]), len(listing.files[part]))
                sizes[part] += workers.map(_read_size, batch)
        size = _common_size(listing, sizes["train"] or sizes["test"])
        for part in PARTS:
            files = listing.files[part]
            images[part] = torch.empty((len(files), 3, size[1], size[0]), dtype=torch.uint8)
            done = 0
            for batch in _batches(files):
                yield Pulse(f"decoding {part} images", done, len(files))
                for pixels, transparent in workers.map(partial(_read_pixels, size=size), batch):
                    images[part][done] = torch.from_numpy(pixels).permute(2, 0, 1)
                    num_transparent += transparent
                    done += 1
    num_resized = sum(one != size for one in chain.from_iterable(sizes.values()))
    return Decoded(images, tuple(_decoding_notices(listing, size, num_resized, num_transparent)))


def _batches(files: list[Path]) -> Iterable[list[Path]]:
    return (files[first : first + _BATCH] for first in range(0, len(files), _BATCH))


def _read_size(file: Path) -> tuple[int, int]:
    """Width and height."""
    try:
        with Image.open(file) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(file) from error


def _read_pixels(file: Path, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
    """RGB pixels (H, W, 3) uint8 at the given width and height, and whether transparency was dropped."""
    try:
        with Image.open(file) as image:
            if image.mode[0] in "IF":
                raise DataError(f"image {file} has more than 8 bits per channel; save it as 8-bit PNG or JPEG")
            # Pillow warns about palettes with transparency unless they pass through RGBA.
            layered = image.convert("RGBA") if image.has_transparency_data else image
            transparent = layered.mode == "RGBA" and np.asarray(layered)[..., 3].min() < 255
            rgb = layered.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(file) from error
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BILINEAR)
    return np.array(rgb), bool(transparent)


def _unreadable(file: Path) -> DataError:
    return DataError(f"cannot read the image {file}; replace or remove it")


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


def _decoding_notices(listing: Listing, size: tuple[int, int], num_resized: int, num_transparent: int) -> list[str]:
    notices = []
    if num_resized:
        notices.append(
            f"Resized {num_resized} of {len(listing)} images to {size[0]}x{size[1]}, the most common size in "
            f"{listing.root}."
        )
    if num_transparent:
        notices.append(f"Dropped the transparency of {num_transparent} of {len(listing)} images in {listing.root}.")
    return notices


def _skipped_notices(listing: Listing) -> list[str]:
    if not listing.skipped:
        return []
    first = listing.skipped[0].relative_to(listing.root)
    what = "file or folder that is" if len(listing.skipped) == 1 else "files or folders that are"
    return [
        f"Skipped {len(listing.skipped)} {what} not .png or .jpg in a class folder of {listing.root}, first {first}."
    ]
