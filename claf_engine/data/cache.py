"""Decoded images, kept as one safetensors file for each place on disk, so that they are decoded once.

The file name holds a hash of the place and one of its contents: a changed folder misses, and its old file is removed
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

from claf_engine.config import DataConfig
from claf_engine.data.items import Catalogue
from claf_engine.terms.places import CACHE_VARIABLE, cache_dir

_FORMAT = "3"
"""Changes with what decoding does to an image, so that pixels of another way are not taken for today's."""
_DAMAGED = (OSError, SafetensorError, KeyError, ValueError, TypeError)


@dataclass(frozen=True)
class Decoded:
    """The pixels of a catalogue.

    Attributes:
        images: of each part, (N, C, H, W) uint8, in the order of the catalogue.
        notices: what decoding changed.
    """

    images: dict[str, Tensor]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class CacheKey:
    """What decoded images belong to.

    Attributes:
        place: where the images lie.
        fingerprint: of what lies there, and of the form that is wanted.
        counts: images of each part.
    """

    place: str
    fingerprint: str
    counts: Mapping[str, int]

    @classmethod
    def of(cls, catalogue: Catalogue, config: DataConfig) -> "CacheKey | None":
        """The key of a catalogue whose place on disk can be told from a changed one; None of any other."""
        if not catalogue.fingerprint:
            return None
        told = (catalogue.fingerprint, config.channels, config.image_size)
        fingerprint = hashlib.sha256(repr(told).encode()).hexdigest()
        return cls(catalogue.place, fingerprint, {name: len(part) for name, part in catalogue.parts.items()})


def cached_bytes(key: CacheKey) -> int:
    """Size of the file of decoded images; 0 where there is none."""
    try:
        return _cache_file(key).stat().st_size
    except OSError:
        return 0


def load_cache(key: CacheKey) -> tuple[Decoded | None, list[str]]:
    """The cached pixels, or None; and a notice if a damaged file has to be rebuilt."""
    file = _cache_file(key)
    try:
        if not file.exists():
            return None, []
        return _read(file, key), []
    except _DAMAGED:
        return None, [f"Rebuilt the cache of {key.place}, because {file} was damaged."]


def save_cache(key: CacheKey, decoded: Decoded) -> list[str]:
    """Write the cache file in one atomic step and remove its predecessors; a notice if that is not possible."""
    file = _cache_file(key)
    notices = json.dumps(decoded.notices)
    metadata = {"format": _FORMAT, "notices": notices, "digest": _digest(decoded.images, notices)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, decoded.images, metadata)
    except (OSError, SafetensorError) as error:
        return [
            f"Could not keep the decoded images of {key.place} in {file.parent} ({error}), so the next run decodes "
            f"them again; set {CACHE_VARIABLE} to a writable folder."
        ]
    _remove_predecessors(file)
    return []


def _cache_file(key: CacheKey) -> Path:
    place = hashlib.sha256(os.fsencode(key.place)).hexdigest()[:20]
    return cache_dir() / "folders" / f"{place}-{key.fingerprint[:20]}-v{_FORMAT}.safetensors"


def _read(file: Path, key: CacheKey) -> Decoded:
    """Read and verify.

    Raises:
        ValueError: the contents are not what was written (among others, see `_DAMAGED`).
    """
    with safe_open(file, framework="pt") as stored:
        metadata = stored.metadata()
        images = {part: stored.get_tensor(part) for part in key.counts}
    if metadata["format"] != _FORMAT or metadata["digest"] != _digest(images, metadata["notices"]):
        raise ValueError(f"{file} does not hold what was written")
    if any(len(images[part]) != count for part, count in key.counts.items()):
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
    for part in sorted(images):
        digest.update(repr((part, tuple(images[part].shape))).encode())
        digest.update(images[part].numpy().data)
    return digest.hexdigest()
