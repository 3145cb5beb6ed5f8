"""Decoded folders, kept as one safetensors file each, so that a folder is decoded once.

The file name holds a hash of the folder and one of its contents: a changed folder misses, and its old file is removed
when the new one is written. A digest of the pixels is checked on reading; a damaged file is rebuilt, never trusted.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from claf_engine.data.listing import PARTS, Listing
from claf_engine.data.places import CACHE_VARIABLE, cache_dir

_FORMAT = "2"
"""Changes with what decoding does to an image, so that pixels of another way are not taken for today's."""
_DAMAGED = (OSError, SafetensorError, KeyError, ValueError, TypeError)


@dataclass(frozen=True)
class Decoded:
    """The pixels of a folder.

    Attributes:
        images: of "train" and of "test", (N, 3, H, W) uint8, in the order of the listing.
        notices: what decoding changed.
    """

    images: dict[str, Tensor]
    notices: tuple[str, ...]


def load_cache(listing: Listing) -> tuple[Decoded | None, list[str]]:
    """The cached pixels of a folder, or None; and a notice if a damaged file has to be rebuilt."""
    file = _cache_file(listing)
    try:
        if not file.exists():
            return None, []
        return _read(file, listing), []
    except _DAMAGED:
        return None, [f"Rebuilt the cache of {listing.root}, because {file} was damaged."]


def save_cache(listing: Listing, decoded: Decoded) -> list[str]:
    """Write the cache file in one atomic step and remove its predecessors; a notice if that is not possible."""
    file = _cache_file(listing)
    notices = json.dumps(decoded.notices)
    metadata = {"format": _FORMAT, "notices": notices, "digest": _digest(decoded.images, notices)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, decoded.images, metadata)
    except (OSError, SafetensorError) as error:
        return [
            f"Could not keep the decoded images of {listing.root} in {file.parent} ({error}), so the next run decodes "
            f"them again; set {CACHE_VARIABLE} to a writable folder."
        ]
    _remove_predecessors(file)
    return []


def _cache_file(listing: Listing) -> Path:
    folder = hashlib.sha256(os.fsencode(listing.root)).hexdigest()[:20]
    return cache_dir() / "folders" / f"{folder}-{listing.fingerprint[:20]}-v{_FORMAT}.safetensors"


def _read(file: Path, listing: Listing) -> Decoded:
    """Read and verify.

    Raises:
        ValueError: the contents are not what was written (among others, see `_DAMAGED`).
    """
    with safe_open(file, framework="pt") as stored:
        metadata = stored.metadata()
        images = {part: stored.get_tensor(part) for part in PARTS}
    if metadata["format"] != _FORMAT or metadata["digest"] != _digest(images, metadata["notices"]):
        raise ValueError(f"{file} does not hold what was written")
    if any(len(images[part]) != len(listing.files[part]) for part in PARTS):
        raise ValueError(f"{file} belongs to another folder")
    return Decoded(images, tuple(json.loads(metadata["notices"])))


def _write(file: Path, images: dict[str, Tensor], metadata: dict[str, str]) -> None:
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=file.parent)
    os.close(handle)
    try:
        save_file(images, name, metadata)
        os.replace(name, file)
    finally:
        with suppress(FileNotFoundError):
            os.remove(name)


def _remove_predecessors(file: Path) -> None:
    folder = file.name.split("-")[0]
    for other in file.parent.glob(f"{folder}-*.safetensors"):
        if other != file:
            with suppress(OSError):
                other.unlink()


def _digest(images: Mapping[str, Tensor], notices: str) -> str:
    digest = hashlib.sha256(notices.encode())
    for part in PARTS:
        digest.update(repr((part, tuple(images[part].shape))).encode())
        digest.update(images[part].numpy().data)
    return digest.hexdigest()
