"""What a folder of images holds, before any image is opened: PATH/train/CLASS/*.png and PATH/test/CLASS/*.png."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from claf_engine.terms.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of the files that are read, in lower case; upper case is read as well."""
PARTS = ("train", "test")


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted by class and name.

    Attributes:
        root: the folder, absolute and without symbolic links.
        class_names: folder names under train/, sorted; the index is the label.
        files: image files of "train" and of "test".
        labels: one per file.
        skipped: whatever else lies there and is not read.
        fingerprint: a hash of file names, sizes and modification times; another one after any change in the folder.
    """

    root: Path
    class_names: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, list[int]]
    skipped: tuple[Path, ...]
    fingerprint: str

    def __len__(self) -> int:
        return sum(len(files) for files in self.files.values())


def list_folder(path: str, *, needs_training: bool = True) -> Listing:
    """List a folder of images; "~" is expanded.

    Args:
        path: of the folder.
        needs_training: whether there must be training images; without, a folder that has no train/ is taken, too.

    Raises:
        DataError: the folder, one of its parts, a class or the images of a class are missing, the two parts differ in
            their classes, or a folder cannot be read.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; name one that holds train/CLASS and test/CLASS")
    root = root.resolve()
    try:
        return _list(root, PARTS if needs_training or (root / "train").is_dir() else ("test",))
    except OSError as error:
        raise DataError(f"cannot list {error.filename or root} ({error.strerror}); make the folder readable") from error


def _list(root: Path, parts: tuple[str, ...]) -> Listing:
    class_names: dict[str, list[str]] = {}
    files: dict[str, list[Path]] = {part: [] for part in PARTS}
    labels: dict[str, list[int]] = {part: [] for part in PARTS}
    skipped: list[Path] = []
    for part in parts:
        folder = root / part
        class_names[part] = _class_names(folder, skipped)
        for label, name in enumerate(class_names[part]):
            found = _images(folder / name, skipped)
            files[part] += found
            labels[part] += [label] * len(found)
    _require_same_classes(root, class_names[parts[0]], class_names["test"])
    fingerprint = _fingerprint(root, [*files["train"], *files["test"]])
    return Listing(root, tuple(class_names["test"]), files, labels, tuple(skipped), fingerprint)


def _class_names(folder: Path, skipped: list[Path]) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder.parent} has no {folder.name}/ folder; put the images in {folder.name}/CLASS/")
    entries = sorted(folder.iterdir())
    names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    skipped += [entry for entry in entries if entry.name not in names]
    if len(names) < 2:
        count = "no classes" if not names else f"only the class {names[0]}"
        raise DataError(f"{folder} holds {count}; put the images of each of two or more classes in a folder there")
    return names


def _images(folder: Path, skipped: list[Path]) -> list[Path]:
    entries = sorted(folder.iterdir())
    images = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    if not images:
        raise DataError(f"class folder {folder} holds no .png or .jpg images; add some or remove the folder")
    chosen = set(images)
    skipped += [entry for entry in entries if entry not in chosen]
    return images


def _require_same_classes(root: Path, train: list[str], test: list[str]) -> None:
    untested, unknown = sorted(set(train) - set(test)), sorted(set(test) - set(train))
    differences = [f"only train has {', '.join(untested)}"] * bool(untested)
    differences += [f"only test has {', '.join(unknown)}"] * bool(unknown)
    if differences:
        raise DataError(
            f"train and test of {root} differ in their classes ({'; '.join(differences)}); give both the same folders"
        )


def _fingerprint(root: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        entry = (os.fsencode(file.relative_to(root)), status.st_size, status.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()
