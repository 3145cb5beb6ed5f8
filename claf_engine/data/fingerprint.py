"""A fingerprint of the images of a run, and what differs between it and the images that are there now."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self

from claf_engine.data.dataset import Dataset

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
WORDS: Mapping[SplitName, str] = {"train": "training", "validation": "validation", "test": "test"}
SHOWN = 3
"""How many changed classes a sentence names."""


class SplitPrint(NamedTuple):
    """Number of images of a split, and a hash of images and labels in their order."""

    num_images: int
    sha256: str


@dataclass(frozen=True)
class Fingerprint:
    """What tells two datasets apart, however they are stored.

    Attributes:
        class_names: in the order of the labels.
        splits: of train, validation and test, or of those that were asked for.
    """

    class_names: tuple[str, ...]
    splits: Mapping[SplitName, SplitPrint]

    @classmethod
    def of(cls, data: Dataset, splits: Collection[SplitName] = SPLITS) -> Self:
        """The fingerprint of the given splits; each is hashed once, and those that are not asked for never."""
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        return cls(data.class_names, {name: SplitPrint(len(parts[name]), parts[name].sha256) for name in splits})

    def to_record(self) -> dict[str, Any]:
        """The fingerprint as a JSON object."""
        return {
            "class_names": list(self.class_names),
            "splits": {name: part._asdict() for name, part in self.splits.items()},
        }

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """The fingerprint of a JSON object; None where it is none of ours, as in files of earlier code."""
        try:
            names, parts = record["class_names"], record["splits"]  # type: ignore[index]
            found = {name: SplitPrint(int(parts[name]["num_images"]), str(parts[name]["sha256"])) for name in SPLITS}
            return cls(tuple(map(str, names)), found)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None


@dataclass(frozen=True)
class Changes:
    """What differs between two fingerprints, in words.

    Attributes:
        classes: "class 2 was 'dog', is 'wolf'".
        numbers: "90 training images, now 150".
        contents: "other validation images": as many as before, but not the same ones, or with other labels.
    """

    classes: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join((*self.classes, *self.numbers, *self.contents))

    def __bool__(self) -> bool:
        return any(asdict(self).values())


def changes_of(then: Fingerprint, now: Fingerprint) -> Changes:
    """Compare the splits that are known now with those of then."""
    pairs = [(WORDS[name], then.splits[name], part) for name, part in now.splits.items()]
    return Changes(
        class_changes(then.class_names, now.class_names),
        tuple(
            f"{old.num_images} {word} images, now {new.num_images}"
            for word, old, new in pairs
            if old.num_images != new.num_images
        ),
        tuple(
            f"other {word} images"
            for word, old, new in pairs
            if old.num_images == new.num_images and old.sha256 != new.sha256
        ),
    )


def class_changes(then: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """Say which labels have another class name; the first few by name, the rest by their number."""
    if len(then) != len(now):
        return (f"{len(then)} classes, now {len(now)}",)
    changed = [
        f"class {label} was {old!r}, is {new!r}"
        for label, (old, new) in enumerate(zip(then, now, strict=True))
        if old != new
    ]
    more = [f"{len(changed) - SHOWN} more classes changed"] * (len(changed) > SHOWN)
    return (*changed[:SHOWN], *more)
