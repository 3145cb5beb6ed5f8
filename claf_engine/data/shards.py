"""WebDataset shards: tar files in which the members of an image share a name, as in 0001.jpg and 0001.cls."""

import itertools
import os
import re
import tarfile
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claf_engine.config import DataConfig
from claf_engine.config.sources import path_of
from claf_engine.data.decoding import Raw
from claf_engine.data.items import Catalogue, fingerprint_of
from claf_engine.data.listing import UNDIVIDED, images_of
from claf_engine.data.map_style import catalogue_of
from claf_engine.data.splitting import split_named
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

IMAGES = ("png", "jpg", "jpeg", "webp", "bmp")
LABEL = "cls"
CLASS_NAMES = "classnames.txt"
"""A file beside the shards with a line for each class, where there is one."""
MAX_SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


@dataclass(frozen=True)
class Member:
    """Where the bytes of an image lie in its shard, and what it is called."""

    shard: int
    offset: int
    size: int
    name: str


@dataclass(frozen=True)
class Shards:
    """Images in shards, read without unpacking these."""

    files: tuple[str, ...]
    members: tuple[Member, ...]

    def __len__(self) -> int:
        return len(self.members)

    def raw(self, index: int) -> Raw:
        """The bytes of an image file.

        Raises:
            DataError: its shard cannot be read any more.
        """
        member = self.members[index]
        try:
            with open(self.files[member.shard], "rb") as file:
                file.seek(member.offset)
                return file.read(member.size)
        except OSError as error:
            raise DataError(
                f"shard {self.files[member.shard]} cannot be read ({error.strerror}); bring it back"
            ) from error

    def name(self, index: int) -> str:
        """Its shard and its name there."""
        member = self.members[index]
        return f"{self.files[member.shard]}:{member.name}"


def shards_steps(config: DataConfig) -> Generator[Pulse, None, Catalogue]:
    """List the images of shards, whose file names tell train, test and validation apart.

    Raises:
        DataError: a shard is missing or damaged, or an image has no label.
    """
    files = expanded(config.source, str(path_of(config.source)))
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(split_named(Path(file).name) or UNDIVIDED, []).append(file)
    if UNDIVIDED in groups and len(groups) > 1:
        first = groups[UNDIVIDED][0]
        raise DataError(f"the name of shard {first} says neither train, val nor test, as others do; rename it")
    parts: dict[str, tuple[Shards, list[Any]]] = {}
    for part, shards in groups.items():
        members: list[Member] = []
        labels: list[str | int] = []
        for number, file in enumerate(shards):
            yield Pulse(f"listing the shards of {images_of(part)}", number, len(shards))
            for member, label in _members(file, number):
                members.append(member)
                labels.append(label)
        parts[part] = (Shards(tuple(shards), tuple(members)), labels)
    catalogue = catalogue_of(config, parts, _class_names(Path(files[0]).parent))
    return replace(catalogue, fingerprint=fingerprint_of(catalogue, files))


def expanded(source: str, pattern: str) -> list[str]:
    """The shards of a folder, or of a pattern such as a-{000..003}.tar or {train,val}-{0..9}.tar.

    Raises:
        DataError: there are none, or one of them is missing.
    """
    if os.path.isdir(pattern):
        found = sorted(str(path) for path in Path(pattern).glob("*.tar"))
        if not found:
            raise DataError(f"{source} holds no .tar files; name the folder of the shards, or a pattern of them")
        return found
    found = _expanded(pattern)
    missing = [file for file in found if not os.path.isfile(file)]
    if missing:
        raise DataError(f"shard {missing[0]} of {source} is missing, one of {len(missing)}; bring it back")
    return found


def _expanded(pattern: str) -> list[str]:
    pieces = _BRACES.split(pattern)
    choices = [_choices(piece) if number % 2 else [piece] for number, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in itertools.islice(itertools.product(*choices), MAX_SHARDS)]


def _choices(braces: str) -> list[str]:
    """What stands for "{000..003}", with as many digits as it is written with, or for "{a,b}"."""
    found = _RANGE.fullmatch(braces)
    if found is None:
        return braces.split(",")
    first, last = found.groups()
    return [str(number).zfill(len(first)) for number in range(int(first), min(int(last), int(first) + MAX_SHARDS) + 1)]


def _members(file: str, shard: int) -> Generator[tuple[Member, str | int], None, None]:
    """The images of a shard with their labels, in its order.

    A name ends at its last dot, so that it may have others; an image that belongs to another one and has no label of
    its own, as 0001.mask.png beside 0001.cls, is left out.
    """
    images: dict[str, Member] = {}
    labels: dict[str, str | int] = {}
    try:
        with tarfile.open(file, "r:") as tar:
            for entry in tar:
                key, _, kind = entry.name.rpartition(".")
                if entry.isfile() and kind.lower() in IMAGES and not entry.name.rpartition("/")[2].startswith("."):
                    images[key] = Member(shard, entry.offset_data, entry.size, entry.name)
                elif entry.isfile() and kind.lower() == LABEL:
                    labels[key] = _label(tar.extractfile(entry), f"{file}:{entry.name}")
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"shard {file} cannot be read ({error}); it must be a plain tar file, not a packed one"
        ) from error
    if not images:
        raise DataError(f"shard {file} holds no image with a name in {', '.join(IMAGES)}; remove it, or name another")
    for key, member in images.items():
        if key in labels:
            yield member, labels[key]
        elif _owner(key) not in labels:
            raise DataError(f"image {file}:{member.name} has no label; add {key}.{LABEL} with its class")


def _owner(key: str) -> str:
    """The name that a longer one belongs to: "a/0001" of "a/0001.mask"."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _label(file: Any, name: str) -> str | int:
    text = file.read(1000).decode("utf-8", "replace").strip()
    if not text:
        raise DataError(f"label {name} is empty; write the number or the name of a class into it")
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else text


def _class_names(folder: Path) -> tuple[str, ...] | None:
    try:
        return tuple((folder / CLASS_NAMES).read_text(encoding="utf-8").split("\n")[:-1]) or None
    except (OSError, UnicodeDecodeError):
        return None
