"""What a folder of images holds, before any image is opened: PATH/train/CLASS/*.png and PATH/test/CLASS/*.png.

Where there is no test/, val/ holds the test images, as in ImageNet; where there is neither and no train/,
PATH/CLASS/*.png are all images, and a fifth of them is held out to test on.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from claf_engine.terms.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of the files that are read, in lower case; upper case is read as well."""
PARTS = ("train", "test")
UNDIVIDED = "all"
"""The part of a folder that holds class folders and no splits."""
VALIDATION = ("val", "valid", "validation")
"""Folders that others keep validation images in."""
ARCHIVE_LITTER = "__MACOSX"
"""A folder that macOS puts into archives, full of files that are named like images and are none."""


def images_of(part: str) -> str:
    """A part in words: "train images", or "images" where there are no parts."""
    return "images" if part == UNDIVIDED else f"{part} images"


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted by class and name.

    Attributes:
        root: the folder, absolute and without symbolic links.
        class_names: folder names under train/, sorted; the index is the label.
        files: image files of "train", "test" and, where it is a split of its own, "validation"; or of "all".
        labels: one per file.
        skipped: whatever else lies there and is not read.
        num_below: images in folders inside class folders, which are among what is skipped.
        unused: names of folders beside train/ and test/ that others keep validation images in.
        outside: symbolic links that lead out of the folder; what they point to is read.
        tested_on: name of the folder that holds the test images.
        fingerprint: a hash of file names, sizes and modification times; another one after any change in the folder.
    """

    root: Path
    class_names: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, list[int]]
    skipped: tuple[Path, ...]
    fingerprint: str
    num_below: int = 0
    unused: tuple[str, ...] = ()
    outside: tuple[Path, ...] = ()
    tested_on: str = "test"

    def __len__(self) -> int:
        return sum(len(files) for files in self.files.values())


def list_folder(path: str, *, needs_train: bool = True, takes_validation: bool = False) -> Listing:
    """List a folder of images; "~" is expanded.

    Args:
        path: the folder.
        needs_train: refuse a folder without train/; otherwise its test/ alone gives the classes.
        takes_validation: list validation images of the folder's own, instead of leaving them alone.

    Raises:
        DataError: the folder, one of its parts, a class or the images of a class are missing, the two parts differ in
            their classes, or a folder cannot be read.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; name one that holds train/CLASS and test/CLASS")
    root = root.resolve()
    try:
        return _list(root, _folders(root, needs_train=needs_train, takes_validation=takes_validation))
    except OSError as error:
        raise DataError(f"cannot list {error.filename or root} ({error.strerror}); make the folder readable") from error


def _folders(root: Path, *, needs_train: bool, takes_validation: bool) -> dict[str, Path]:
    """The folder of each part."""
    own = next((root / name for name in VALIDATION if (root / name).is_dir()), None)
    has_test, has_train = (root / "test").is_dir(), (root / "train").is_dir()
    if not has_test and not has_train and own is None and _holds_classes(root):
        return {UNDIVIDED: root}
    parts = {} if not needs_train and not has_train else {"train": root / "train"}
    if not has_test and own is not None:
        return {**parts, "test": own}
    parts["test"] = root / "test"
    return parts if own is None or not takes_validation or not needs_train else {**parts, "validation": own}


def _holds_classes(root: Path) -> bool:
    """Whether a folder holds two or more folders with images in them."""
    folders = (entry for entry in root.iterdir() if not _is_hidden(entry) and entry.is_dir())
    return sum(any(_is_image(image) for image in folder.iterdir()) for folder in folders) > 1


def _list(root: Path, parts: dict[str, Path]) -> Listing:
    class_names: dict[str, list[str]] = {}
    files: dict[str, list[Path]] = {part: [] for part in parts}
    labels: dict[str, list[int]] = {part: [] for part in parts}
    skipped: list[Path] = []
    for part, folder in parts.items():
        class_names[part] = _class_names(folder, skipped)
        for label, name in enumerate(class_names[part]):
            found = _images(folder / name, skipped)
            files[part] += found
            labels[part] += [label] * len(found)
    first = next(iter(parts))
    for part in parts:
        _require_same_classes(root, (parts[first].name, class_names[first]), (parts[part].name, class_names[part]))
    everything = list(chain.from_iterable(files.values()))
    class_folders = [folder / name for part, folder in parts.items() for name in class_names[part]]
    return Listing(
        root,
        tuple(class_names[first]),
        files,
        labels,
        tuple(skipped),
        _fingerprint(root, everything),
        num_below=sum(_count_images(entry) for entry in skipped if entry.parent in class_folders),
        unused=tuple(name for name in VALIDATION if (root / name).is_dir() and root / name not in parts.values()),
        outside=tuple(_leading_out(root, [*parts.values(), *class_folders, *everything])),
        tested_on=parts["test"].name if "test" in parts else "",
    )


def _class_names(folder: Path, skipped: list[Path]) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder.parent} has no {folder.name}/ folder; put the images in {folder.name}/CLASS/")
    entries = sorted(folder.iterdir())
    names = [entry.name for entry in entries if not _is_hidden(entry) and entry.is_dir()]
    skipped += [entry for entry in entries if entry.name not in names]
    if len(names) < 2:
        count = "no classes" if not names else f"only the class {names[0]}"
        raise DataError(f"{folder} holds {count}; put the images of each of two or more classes in a folder there")
    return names


def _images(folder: Path, skipped: list[Path]) -> list[Path]:
    entries = sorted(folder.iterdir())
    images = [entry for entry in entries if _is_image(entry) and entry.is_file()]
    if not images:
        raise DataError(f"class folder {folder} holds no .png or .jpg images; add some or remove the folder")
    chosen = set(images)
    skipped += [entry for entry in entries if entry not in chosen]
    return images


def _is_hidden(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.name == ARCHIVE_LITTER


def _is_image(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES and not _is_hidden(entry)


def _count_images(entry: Path) -> int:
    """Images in a folder and all folders inside; 0 for a hidden folder or a file."""
    if _is_hidden(entry) or entry.is_symlink() or not entry.is_dir():
        return 0
    return sum(_is_image(Path(name)) for _, _, names in os.walk(entry) for name in names)


def _leading_out(root: Path, entries: Iterable[Path]) -> Iterator[Path]:
    return (entry for entry in entries if entry.is_symlink() and not entry.resolve().is_relative_to(root))


def _require_same_classes(root: Path, first: tuple[str, list[str]], second: tuple[str, list[str]]) -> None:
    (train, of_train), (test, of_test) = first, second
    untested, unknown = sorted(set(of_train) - set(of_test)), sorted(set(of_test) - set(of_train))
    differences = [f"only {train} has {', '.join(untested)}"] * bool(untested)
    differences += [f"only {test} has {', '.join(unknown)}"] * bool(unknown)
    if differences:
        raise DataError(
            f"{train} and {test} of {root} differ in their classes ({'; '.join(differences)}); give both the same "
            "folders"
        )


def _fingerprint(root: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        entry = (os.fsencode(file.relative_to(root)), status.st_size, status.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()
