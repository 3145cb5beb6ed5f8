"""Images in the columns of Parquet and Arrow files, as the Hub's data sets keep them. Nothing is downloaded.

A folder is a clone of a data set's repository, what `save_to_disk` wrote, or any folder of such files whose names tell
train, validation and test apart. An image is the bytes of an image file, or such bytes beside a path.
"""

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from claf_engine.config import DataConfig
from claf_engine.config.sources import path_of
from claf_engine.data.arrow_files import Table, column_of, require_pyarrow, schema_of
from claf_engine.data.items import Catalogue, fingerprint_of
from claf_engine.data.listing import UNDIVIDED, images_of
from claf_engine.data.map_style import catalogue_of
from claf_engine.data.splitting import split_named
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

SUFFIXES = (".parquet", ".arrow")
IMAGE_NAMES, LABEL_NAMES = ("image", "img", "images", "picture"), ("label", "labels", "target", "class", "fine_label")
UNLABELLED = -1
"""The label of test images whose classes are kept secret."""


def table_steps(config: DataConfig) -> Generator[Pulse, None, Catalogue]:
    """List the images of Parquet and Arrow files, and read their labels.

    Raises:
        DataError: pyarrow is missing, a file is damaged, or it is not plain which column holds what.
    """
    require_pyarrow()
    path = path_of(config.source)
    files = table_files(path, config.source)
    image, label = _columns(files, config)
    parts: dict[str, tuple[Table, list[Any]]] = {}
    notices: list[str] = []
    for part, found in files.items():
        labels: list[Any] = []
        counts: list[int] = []
        for number, file in enumerate(found):
            yield Pulse(f"reading the labels of {images_of(part)}", number, len(found))
            read = column_of(file, label).to_pylist()
            counts.append(len(read))
            labels += read
        if labels and all(value in (UNLABELLED, None) for value in labels):
            notices.append(f"Left the {len(labels)} {images_of(part)} of {path} alone: they have no labels.")
            continue
        parts[part] = (Table(tuple(found), image, tuple(counts)), labels)
    if not parts:
        raise DataError(f"{config.source} has no labels; choose another column with data.label_column")
    catalogue = catalogue_of(config, parts, _class_names(path, files, label), tuple(notices))
    return replace(catalogue, fingerprint=fingerprint_of(catalogue, chain.from_iterable(files.values()), image))


def table_files(path: Path, source: str) -> dict[str, list[str]]:
    """The files of each part, by what their names tell; all of them as one part where none tells anything.

    Raises:
        DataError: there are none, or they are of several data sets.
    """
    if path.is_file():
        return {UNDIVIDED: [str(path)]}
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        # What `datasets` computes from other tables lies beside them under such names.
        and not file.name.startswith(("cache-", "indices-"))
    )
    if not found:
        raise DataError(f"{source} holds no .parquet or .arrow files; name their folder, or one of them")
    groups: dict[str, list[Path]] = {}
    for file in found:
        groups.setdefault(split_named(str(file.relative_to(path))) or UNDIVIDED, []).append(file)
    for part, members in groups.items():
        folders = sorted({str(file.parent.relative_to(path)) for file in members})
        if len(folders) > 1:
            raise DataError(
                f"{source} holds several data sets with {images_of(part)}, in {' and '.join(folders[:3])}; name one of "
                "these folders"
            )
    if len(groups) > 1:
        groups.pop(UNDIVIDED, None)
    return {part: [str(file) for file in members] for part, members in groups.items()}


def _columns(files: Mapping[str, list[str]], config: DataConfig) -> tuple[str, str]:
    """The columns of images and labels."""
    file = next(iter(files.values()))[0]
    schema = schema_of(file)
    kinds = {field.name: field.type for field in schema}
    features = _features(schema)
    images = [name for name, kind in kinds.items() if _holds_images(kind)]
    of_classes = [name for name, feature in features.items() if _names_in(feature) is not None]
    labels = of_classes or [name for name in kinds if name not in images]
    chosen = []
    for setting, asked, found, usual in (
        ("image_column", config.image_column, images, IMAGE_NAMES),
        ("label_column", config.label_column, labels, LABEL_NAMES),
    ):
        if asked is not None and asked not in kinds:
            raise DataError(f"data.{setting}: {file} has no column {asked!r}; its columns are {', '.join(kinds)}")
        known = [name for name in usual if name in found]
        if asked is None and not (len(found) == 1 or (known and not (setting == "label_column" and of_classes[1:]))):
            raise DataError(
                f"it is not plain which column of {file} holds the {setting.partition('_')[0]}s; give --set "
                f"data.{setting}= one of {', '.join(found or kinds)}"
            )
        chosen.append(asked or (found[0] if len(found) == 1 else known[0]))
    return chosen[0], chosen[1]


def _class_names(path: Path, files: Mapping[str, list[str]], label: str) -> tuple[str, ...] | None:
    """Names of the classes, from the table itself, or else from the files that describe it."""
    feature = _features(schema_of(next(iter(files.values()))[0])).get(label)
    if (names := _names_in(feature)) is not None:
        return names
    folder = path if path.is_dir() else path.parent
    for file in sorted(folder.rglob("dataset_info*.json")):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        infos = [told, *told.values()] if isinstance(told, dict) else []
        for info in infos:
            features = info.get("features") if isinstance(info, dict) else None
            if isinstance(features, dict) and (names := _names_in(features.get(label))) is not None:
                return names
    return _names_in_readme(folder / "README.md", label)


def _names_in(feature: Any) -> tuple[str, ...] | None:
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return tuple(map(str, names)) if isinstance(names, list) and names else None


def _names_in_readme(file: Path, label: str) -> tuple[str, ...] | None:
    """Class names of a label in the header that the Hub reads."""
    try:
        head = re.match(r"---\n(.*?)\n---", file.read_text(encoding="utf-8"), re.DOTALL)
    except (OSError, UnicodeDecodeError):
        return None
    if head is None:
        return None
    import yaml

    try:
        told = yaml.safe_load(head[1])
    except yaml.YAMLError:
        return None
    infos = told.get("dataset_info") if isinstance(told, dict) else None
    for info in infos if isinstance(infos, list) else [infos]:
        for feature in (info or {}).get("features") or ():
            kind = feature.get("dtype") if isinstance(feature, dict) and feature.get("name") == label else None
            names = (kind.get("class_label") or {}).get("names") if isinstance(kind, dict) else None
            if isinstance(names, dict):
                return tuple(str(names[key]) for key in sorted(names, key=int))
    return None


def _features(schema: Any) -> Mapping[str, Any]:
    """What `datasets` wrote into a schema about its columns."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _holds_images(kind: Any) -> bool:
    pa = require_pyarrow()
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes or (pa.types.is_struct(kind) and "bytes" in [kind[index].name for index in range(kind.num_fields)])
