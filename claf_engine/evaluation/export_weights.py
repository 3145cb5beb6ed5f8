"""A checkpoint's network for other programs: safetensors or ONNX with a config.json, or a folder for a model hub.

Whatever is written is opened again and asked for logits before it is put in its place; what differs is never kept.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from claf_engine.config import ModelConfig, RunConfig
from claf_engine.config.registry import library_of
from claf_engine.evaluation.cards import find_card, home_of
from claf_engine.evaluation.export_config import CONFIG, Described, config_record
from claf_engine.evaluation.foreign_weights import convert, read_foreign
from claf_engine.evaluation.hub_readme import published_card, readme
from claf_engine.evaluation.naming import renamed
from claf_engine.evaluation.onnx_network import open_onnx, write_onnx
from claf_engine.evaluation.plain_models import LIBRARY_NAMINGS, plain_model, plain_name, require_naming
from claf_engine.evaluation.subject import require_trained
from claf_engine.models.architectures import is_own
from claf_engine.models.network import NATURAL, Pipeline, build_network
from claf_engine.runs.durable import TEMPORARY_PREFIX, sync_folder, write_atomically
from claf_engine.runs.exporting import export_network
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError, ConfigError, first_line
from claf_engine.training.checkpoint import load_trained_network

Format = Literal["safetensors", "onnx", "hub"]
Ask = Callable[[Tensor], Tensor]

SAFETENSORS, ONNX, README = "model.safetensors", "model.onnx", "README.md"
OURS = "ours"
COMPARED = 3
"""Random images that the written file is asked about; not as many as ONNX is traced with."""
TOLERANCE = 1e-4
"""Largest difference of a logit, relative to the largest logit: sums are made in other orders."""
SMALL, USUAL = (32, 32), (224, 224)
"""Height and width of these images where the checkpoint does not say what it was trained on: ours, a library's."""


@dataclass(frozen=True)
class ExportRequest:
    """What is written, and where.

    Attributes:
        checkpoint: the file.
        folder: that it is written into.
        format: safetensors, onnx, or hub: safetensors and a README.
        names: naming of the tensors; None is ours, and the only choice of ONNX.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        replaces: files of an earlier export may be replaced; others in the folder are left alone.
    """

    checkpoint: Path
    folder: Path
    format: Format = "safetensors"
    names: str | None = None
    classifier: str | None = None
    replaces: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        files: names in it.
        format: as asked for.
        names: naming of the tensors; empty for ONNX.
        classifier: which one.
        weights_sha256: of the checkpoint's network.
        compared_with: what opened the file again and computed logits.
        difference: largest difference of a logit on `num_images` random images.
        num_images: see there.
        has_card: whether a robustness card was there to tell of.
    """

    folder: Path
    files: tuple[str, ...]
    format: Format
    names: str
    classifier: str
    weights_sha256: str
    compared_with: str
    difference: float
    num_images: int
    has_card: bool

    def to_record(self) -> dict[str, Any]:
        """The same as a JSON object; its keys are stable."""
        return {**dataclasses.asdict(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class _Subject:
    """What is exported, opened."""

    info: CheckpointInfo
    config: RunConfig
    pipeline: Pipeline
    classifier: str
    names: str

    @property
    def model(self) -> ModelConfig:
        return self.config.model


def export_checkpoint(request: ExportRequest) -> Exported:
    """Write the network of a checkpoint for other programs, once it is sure that they compute the same with it.

    Raises:
        CheckpointError: the checkpoint cannot be read, its classifier was not trained, a file is there already, the
            folder cannot be written, or the written file gives other logits.
        ConfigError: the network cannot be written in this naming, or a library is not installed.
    """
    subject = _open(request)
    card = find_card(home_of(request.checkpoint), subject.info.weights_sha256, subject.classifier)
    if card is not None:
        card = published_card(card, (subject.config.data.source, str(card.get("data", ""))))
    with _staged(request) as stage:
        record = _write(request, subject, stage, card)
        ask, compared_with = _opened(request.format, stage, record, _image_size(subject))
        difference = _require_equal(subject, ask, compared_with)
        files = _publish(stage, request.folder)
    return Exported(
        folder=request.folder,
        files=files,
        format=request.format,
        names=subject.names,
        classifier=subject.classifier,
        weights_sha256=subject.info.weights_sha256,
        compared_with=compared_with,
        difference=difference,
        num_images=COMPARED,
        has_card=card is not None,
    )


def _open(request: ExportRequest) -> _Subject:
    if request.format == "onnx" and request.names is not None:
        raise ConfigError("ONNX holds the network itself, whatever its tensors are called; leave --names out")
    wanted = (ONNX if request.format == "onnx" else SAFETENSORS, CONFIG, *([README] * (request.format == "hub")))
    _require_room(request.folder, wanted, replaces=request.replaces)
    info, config, network = load_trained_network(request.checkpoint)
    classifier = request.classifier or info.classifier
    require_trained(info, config, classifier)
    names = "" if request.format == "onnx" else request.names or OURS
    if names:
        require_naming(config.model, names)
    return _Subject(info, config, network.with_classifier(classifier).eval(), classifier, names)


def _require_room(folder: Path, wanted: tuple[str, ...], *, replaces: bool) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder; name another one")
    there = [name for name in wanted if os.path.lexists(folder / name)]
    if there and not replaces:
        raise CheckpointError(
            f"{folder} has {', '.join(there)} already; name another folder, or replace them with --force"
        )


@contextlib.contextmanager
def _staged(request: ExportRequest) -> Iterator[Path]:
    """A new folder beside the wanted one, or in it where it is there; gone afterwards."""
    home = request.folder if request.folder.is_dir() else request.folder.parent
    stage = home / f"{TEMPORARY_PREFIX}export-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        stage.mkdir(parents=True)
        yield stage
    except OSError as error:
        raise CheckpointError(f"cannot write into {request.folder}: {error.strerror}; name another folder") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write(request: ExportRequest, subject: _Subject, stage: Path, card: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write all files into a folder; gives what config.json says."""
    is_onnx = request.format == "onnx"
    file = stage / (ONNX if is_onnx else SAFETENSORS)
    if is_onnx:
        write_onnx(subject.pipeline, (subject.model.num_channels, *_image_size(subject)), file)
    elif subject.names == OURS:
        export_network(request.checkpoint, file)
    else:
        write_atomically(file, save(renamed(subject.pipeline, subject.model, subject.names), {"format": "pt"}))
    plain = plain_name(subject.model, subject.names)
    described = Described(
        names=subject.names,
        architecture=plain.architecture,
        model_args=plain.args,
        stem=subject.model.stem if is_own(subject.model) else "",
        normalises_itself=subject.names in {"", OURS},
        classifier=subject.classifier,
    )
    record = config_record(subject.info, subject.config, described, card)
    with file.open("rb") as written:
        record |= {"file": file.name, "sha256": hashlib.file_digest(written, "sha256").hexdigest()}
    if request.format == "hub":
        write_atomically(stage / README, readme(record, card).encode("utf-8", "replace"))
    write_atomically(stage / CONFIG, json.dumps(record, indent=1, allow_nan=False).encode())
    return record


def _opened(format_: Format, stage: Path, record: Mapping[str, Any], size: tuple[int, int]) -> tuple[Ask, str]:
    """The written file as others open it, images to logits, and who they are."""
    if format_ == "onnx":
        return open_onnx(stage / ONNX)
    if record["names"] in LIBRARY_NAMINGS:
        try:
            return plain_model(record, load_file(stage / SAFETENSORS)), str(record["names"])
        except RuntimeError as error:
            raise CheckpointError(
                f"nothing was exported: {record['names']} has another {record['architecture']} ({first_line(error)}); "
                "export it with --names ours"
            ) from error
    found = convert(read_foreign(stage), None, stage)
    network = build_network(found.model, found.num_classes, torch.Generator(), size)
    network.load_state_dict({**network.state_dict(), **found.tensors})
    return network.with_classifier(NATURAL).eval(), "claf-tui"


def _require_equal(subject: _Subject, ask: Ask, compared_with: str) -> float:
    """The largest difference of a logit on random images.

    Raises:
        CheckpointError: it is too large.
    """
    shape = (COMPARED, subject.model.num_channels, *_image_size(subject))
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    is_alike = subject.names not in LIBRARY_NAMINGS or is_own(subject.model)
    with torch.no_grad():
        expected = subject.pipeline(images)
        found = ask(images if is_alike else images.expand(-1, 3, -1, -1))
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE * float(expected.abs().max()):
        raise CheckpointError(
            f"nothing was exported: logits of {compared_with} differ by {difference:.2g} from those of the checkpoint; "
            "please report it"
        )
    return difference


def _image_size(subject: _Subject) -> tuple[int, int]:
    if subject.info.image_size is not None:
        return subject.info.image_size
    return USUAL if library_of(subject.model.architecture) else SMALL


def _publish(stage: Path, folder: Path) -> tuple[str, ...]:
    """Put the written files into their place: a new folder at once, files of one that is there one by one."""
    files = sorted((path.name for path in stage.iterdir()), key=lambda name: (name == CONFIG, name))
    if folder.is_dir():
        for name in files:
            os.replace(stage / name, folder / name)
    else:
        os.rename(stage, folder)
    sync_folder(folder)
    return tuple(sorted(files))
