"""What the attack of a probe makes of a few images, on disk: pictures, answers and features. No torch.

In a run's folder, `examples/clean.safetensors` holds the images as they are, and for each probe one file such as
`examples/step-000000123.safetensors` what became of them. Its pictures are stored as levels to add to the clean ones,
modulo 256 and deflated: few different values, so a third of their size.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from claf_engine.events.records import build
from claf_engine.runs.durable import remove_leftovers, write_atomically
from claf_engine.runs.foreign import MEBIBYTE, parse_json, read_foreign
from claf_engine.runs.header import step_in_name
from claf_engine.terms.errors import ForeignFileError

FOLDER, CLEAN = "examples", "clean.safetensors"
CAP = MEBIBYTE
"""Largest file of this kind, in bytes; ours are a hundredth of that."""
MAX_WATCHED, MAX_PICTURES, MAX_SIDE, MAX_FEATURES = 256, 64, 32, 16
ABOUT = "claf.examples"
FORMAT = 1

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CleanExamples:
    """The W watched images before any attack, the same at every probe.

    Attributes:
        pictures: (P, C, H, W) levels 0 to 255 of the first P of them, at most 32 a side.
        labels: (W,) true classes.
    """

    pictures: Bytes
    labels: Ints

    @cached_property
    def key(self) -> str:
        """Tells these images from others."""
        digest = hashlib.sha256(repr(self.pictures.shape).encode())
        digest.update(np.ascontiguousarray(self.pictures).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier says of the W watched images.

    Attributes:
        classes: (W,) predicted ones.
        confidences: (W,) softmax of those, in [0, 1].
        features: (W, D) of the encoder, in at most 16 dimensions that are the same at every probe.
    """

    classes: Ints
    confidences: Floats
    features: Floats


@dataclass(frozen=True)
class About:
    """Where a probe stood.

    Attributes:
        step: optimiser steps of the whole run.
        epoch: of the phase, as in `ProbeFinished`.
        phase: its title.
        classifier: the one that was attacked.
    """

    step: int
    epoch: int
    phase: str
    classifier: str


@dataclass(frozen=True, eq=False)
class ProbedExamples:
    """What one probe's attack made of the watched images.

    Attributes:
        about: where it stood.
        attack: for a person, such as "PGD-10 at 8/255".
        pictures: (P, C, H, W) levels 0 to 255 of the attacked ones.
        before: answers to the clean images.
        after: answers to the attacked ones.
    """

    about: About
    attack: str
    pictures: Bytes
    before: Answers
    after: Answers

    def survives(self, clean: CleanExamples) -> NDArray[np.bool_]:
        """Which watched images (W,) are classified correctly when attacked."""
        survives: NDArray[np.bool_] = self.after.classes == clean.labels
        return survives


def list_steps(run: Path) -> tuple[int, ...]:
    """Steps of the probes that kept examples, ascending; none where the folder cannot be read."""
    try:
        names = [path.name for path in (run / FOLDER).iterdir()]
    except OSError:
        return ()
    steps = {step for name in names if (step := step_in_name(name)) is not None and name == _name(step)}
    return tuple(sorted(steps))


def write_examples(run: Path, clean: CleanExamples, probed: ProbedExamples) -> None:
    """Write what a probe kept, over what an earlier one kept at the same step; clean images only where they changed.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    data = _encode_clean(clean)
    if not _holds(folder / CLEAN, data):
        write_atomically(folder / CLEAN, data)
    write_atomically(folder / _name(probed.about.step), _encode_probed(clean, probed))


def drop_examples(run: Path, after: int) -> None:
    """Remove the examples of probes after a step, which a resumed run makes again, and what a killed process left.

    Raises:
        OSError: one cannot be removed.
    """
    if not (run / FOLDER).is_dir():
        return
    remove_leftovers(run / FOLDER)
    for step in list_steps(run):
        if step > after:
            (run / FOLDER / _name(step)).unlink(missing_ok=True)


def read_clean(run: Path) -> CleanExamples:
    """Read the clean images.

    Raises:
        MissingFile: the run keeps none.
        ForeignFileError: the file is damaged, or no such file.
    """
    path = run / FOLDER / CLEAN
    tensors, _ = _load(path)
    try:
        pictures, labels = tensors["pictures"], tensors["labels"]
        _require(pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.shape[1] in (1, 3), "pictures")
        num_pictures, _, height, width = pictures.shape
        _require(num_pictures <= MAX_PICTURES and 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE, "pictures")
        return CleanExamples(pictures, _classes(labels, (_num_watched(labels, num_pictures),), "labels"))
    except (KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def read_probed(run: Path, step: int, clean: CleanExamples) -> ProbedExamples:
    """Read what a probe kept.

    Raises:
        MissingFile: it kept nothing.
        ForeignFileError: the file is damaged, or no such file, or of other clean images.
    """
    path = run / FOLDER / _name(step)
    tensors, about = _load(path)
    try:
        if about["clean"] != clean.key:
            raise ForeignFileError(f"{path} is of other images than {CLEAN}; remove it")
        place, attack = build(About, about), about["attack"]
        _require(place.step == step, "step")
        _require(isinstance(attack, str), "attack")
        count = len(clean.labels)
        before, after = (_answers(tensors, name, count) for name in ("before", "after"))
        _require(before.features.shape == after.features.shape, "features")
        pictures = clean.pictures + _inflated(tensors["change"], clean.pictures)
        return ProbedExamples(place, attack, pictures, before, after)
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def _name(step: int) -> str:
    return f"step-{step:09d}.safetensors"


def _holds(path: Path, data: bytes) -> bool:
    try:
        return read_foreign(path, CAP) == data
    except ForeignFileError:
        return False


def _encode_clean(clean: CleanExamples) -> bytes:
    return _encode({"pictures": np.ascontiguousarray(clean.pictures), "labels": clean.labels.astype(np.int16)}, {})


def _encode_probed(clean: CleanExamples, probed: ProbedExamples) -> bytes:
    change = np.ascontiguousarray(probed.pictures - clean.pictures)
    tensors: dict[str, NDArray[Any]] = {"change": np.frombuffer(zlib.compress(change.data, 9), np.uint8)}
    for name, answers in (("before", probed.before), ("after", probed.after)):
        tensors[f"{name}.classes"] = answers.classes.astype(np.int16)
        tensors[f"{name}.confidences"] = _halves(answers.confidences)
        tensors[f"{name}.features"] = _halves(answers.features)
    return _encode(tensors, {"clean": clean.key, "attack": probed.attack, **asdict(probed.about)})


def _encode(tensors: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> bytes:
    return bytes(save(dict(tensors), {ABOUT: json.dumps({"format": FORMAT, **about})}))


def _halves(values: Floats) -> NDArray[np.float16]:
    limit = float(np.finfo(np.float16).max)
    return np.nan_to_num(values, nan=0.0, posinf=limit, neginf=-limit).clip(-limit, limit).astype(np.float16)


def _load(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The tensors of a file, and what it says of itself."""
    data = read_foreign(path, CAP)
    try:
        tensors = load(data)
        header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = parse_json(header["__metadata__"][ABOUT])
        if not isinstance(about, dict) or about.pop("format", None) != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    return tensors, about


def _damaged(path: Path, error: Exception) -> ForeignFileError:
    reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return ForeignFileError(f"{path} is damaged: {reason}; remove it")


def _answers(tensors: Mapping[str, NDArray[Any]], name: str, count: int) -> Answers:
    confidences, features = tensors[f"{name}.confidences"], tensors[f"{name}.features"]
    _require(confidences.dtype == features.dtype == np.float16 and confidences.shape == (count,), "confidences")
    _require(features.ndim == 2 and len(features) == count and 0 < features.shape[1] <= MAX_FEATURES, "features")
    confidences, features = confidences.astype(np.float32), features.astype(np.float32)
    _require(bool(((confidences >= 0) & (confidences <= 1)).all()), "confidences")
    _require(bool(np.isfinite(features).all()), "features")
    return Answers(_classes(tensors[f"{name}.classes"], (count,), "classes"), confidences, features)


def _classes(values: NDArray[Any], shape: tuple[int, ...], what: str) -> Ints:
    _require(values.dtype == np.int16 and values.shape == shape and bool((values >= 0).all()), what)
    return values.astype(np.int64)


def _num_watched(labels: NDArray[Any], num_pictures: int) -> int:
    _require(labels.ndim == 1 and max(1, num_pictures) <= len(labels) <= MAX_WATCHED, "labels")
    return len(labels)


def _inflated(packed: NDArray[Any], like: Bytes) -> Bytes:
    """The levels that were deflated, of the shape of `like`; never more of them, whatever the file claims."""
    _require(packed.dtype == np.uint8, "change")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed.tobytes(), like.size + 1)
    except zlib.error as error:
        raise ValueError(f"its change is none: {error}") from error
    _require(len(data) == like.size, "change")
    return np.frombuffer(data, np.uint8).reshape(like.shape)


def _require(is_right: bool, what: str) -> None:
    if not is_right:
        raise ValueError(f"its {what} are none")
