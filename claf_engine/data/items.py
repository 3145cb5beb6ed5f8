"""Images that are opened one at a time, by their place: what every source on disk is, before anything is decoded."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from claf_engine.data.decoding import Raw


@dataclass(frozen=True)
class Opened:
    """One image before it is decoded, with its name."""

    raw: Raw
    name: str


class Items(Protocol):
    """Images in a fixed order; also in another process, to which they are sent without what they have opened."""

    def __len__(self) -> int: ...

    def raw(self, index: int) -> Raw:
        """The image at a place, the same at every call.

        Raises:
            DataError: it cannot be had.
        """

    def name(self, index: int) -> str:
        """What a complaint calls it."""


@dataclass(frozen=True)
class Files:
    """Image files."""

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def raw(self, index: int) -> Raw:
        """The file at a place."""
        return Path(self.paths[index])

    def name(self, index: int) -> str:
        """Its path."""
        return self.paths[index]


@dataclass(frozen=True)
class Chosen:
    """Some of other items, in an order of their own; `rows` are their places there."""

    items: Items
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def raw(self, index: int) -> Raw:
        """The item at a place of this order."""
        return self.items.raw(self.rows[index])

    def name(self, index: int) -> str:
        """Its name there."""
        return self.items.name(self.rows[index])


@dataclass(frozen=True)
class Part:
    """Images of one split with their labels (N,), int64."""

    items: Items
    labels: Tensor

    @classmethod
    def of(cls, items: Items, labels: Sequence[int]) -> "Part":
        """Items with labels in a list."""
        return cls(items, torch.tensor(labels, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.items)

    def chosen(self, rows: Tensor) -> "Part":
        """The images at some places (M,), in that order."""
        return Part(Chosen(self.items, tuple(rows.tolist())), self.labels[rows])


@dataclass(frozen=True)
class Catalogue:
    """A source before its images are opened.

    Attributes:
        source: as the settings name it.
        place: what sentences call it, such as its folder.
        class_names: one name per label.
        train: what is trained on; what is held out of it too.
        test: its test images.
        validation: its own validation images, or None.
        notices: what was skipped or decided.
        fingerprint: another one after any change of the files that the images are in; empty where that is not known,
            or decoding costs nothing.
    """

    source: str
    place: str
    class_names: tuple[str, ...]
    train: Part
    test: Part
    validation: Part | None = None
    notices: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that there are, by name."""
        found = {"train": self.train, "test": self.test}
        return found if self.validation is None else {**found, "validation": self.validation}

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))


def fingerprint_of(catalogue: Catalogue, files: Iterable[str], also: str = "") -> str:
    """What `Catalogue.fingerprint` is where images lie in a few large files: changes with these, and with how it is
    divided and labelled.

    Args:
        catalogue: of them.
        files: in their order.
        also: what else decides which images they are, such as a column.
    """
    told = [(file, status.st_size, status.st_mtime_ns) for file in files for status in (os.stat(file),)]
    division = [(name, hashlib.sha256(part.labels.numpy().data).hexdigest()) for name, part in catalogue.parts.items()]
    return hashlib.sha256(repr((told, also, division)).encode()).hexdigest()
