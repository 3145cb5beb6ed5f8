"""A model that no run of ours trained, opened for measuring: its function, its weights, and what is known of both."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from claf_engine.compute.device import make_generator
from claf_engine.config import ModelConfig, RunConfig
from claf_engine.config.registry import ARGUMENT_MARK, MODELS, library_of
from claf_engine.data import Dataset, to_pixels
from claf_engine.evaluation.cards import MODEL
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.library import LibraryModel, usual_normalisation, whole_library_model
from claf_engine.models.probing import require_logits
from claf_engine.models.written import WrittenModel, written_model
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.weights_file import fitted, known, read_weights

PROBED = 16
"""Images whose logits are looked at."""
CLOSE_TO_ONE = 1e-4


@dataclass(frozen=True)
class ModelSource:
    """A model that no run of ours trained.

    Attributes:
        model: the name that `load_model` gave, such as "net.py:build" or "torchvision:resnet50".
        weights: file of its weights; None are those that it is built with.
        folder: below which its cards are kept; None is beside the weights, else beside the file of the function, else
            the working folder.
    """

    model: str
    weights: Path | None = None
    folder: Path | None = None

    @property
    def function(self) -> str:
        """What builds it: "build", or the library's name of it."""
        return self.model.rpartition(ARGUMENT_MARK)[2]

    @property
    def place(self) -> Path:
        """What stands for a checkpoint: the path that the names of its cards begin with; there may be no such file."""
        entry = MODELS.entries.get(self.model)
        file = None if entry is None or entry.plugin is None else entry.plugin.path
        beside = self.weights or file
        folder = self.folder or (Path() if beside is None else beside.parent)
        stem = library_of(self.model) if beside is None else beside.stem
        return folder.expanduser() / f"{stem}.model"


@dataclass(frozen=True)
class OpenedModel:
    """A model with what is known of it.

    Attributes:
        info: in place of a checkpoint's header.
        config: settings in place of a run's: its normalisation, where it is a library's.
        model: pixels in [0, 1] to logits, on the CPU.
        notices: what a reader of its figures must know.
    """

    info: CheckpointInfo
    config: RunConfig
    model: nn.Module
    notices: tuple[str, ...]


def open_model(source: ModelSource, data: Dataset) -> OpenedModel:
    """Build a model for the classes and the size of images, and fill it with its weights.

    Raises:
        ConfigError: the function is not loaded, or builds no module; the library has no such model.
        CheckpointError: the file of weights cannot be read or does not fit.
        DataError: the model does not take the images, or tells other classes apart.
    """
    images = to_pixels(data.test.images[:PROBED]).cpu()
    config = RunConfig(method="natural", model=_model_config(source))
    model = _built(source, config.model, data, tuple(images.shape[1:]))
    record: dict[str, Any] = {"model": source.model, "file_sha256": getattr(model, "origin", "")}
    notices: list[str] = []
    if isinstance(model, LibraryModel):
        mean, std = (", ".join(map(str, values)) for values in (config.model.mean, config.model.std))
        notices.append(f"images are normalised by means {mean} and deviations {std}, as its published weights expect")
    if source.weights is None:
        notices.append(f"no weights were given: {source.model} is measured with those that it is built with")
    else:
        found = read_weights(source.weights)
        own = model.module.state_dict()
        for name, tensor in fitted(own, known(found.tensors, model.left_out), source.weights, source.model).items():
            own[name].copy_(tensor)
        record |= {"weights": str(source.weights), "weights_file_sha256": found.sha256}
    if any(not bool(tensor.isfinite().all()) for tensor in model.state_dict().values() if tensor.is_floating_point()):
        raise CheckpointError(f"{source.model} has weights that are not finite; build it otherwise, or give --weights")
    logits = require_logits(model, images, len(data.class_names), source.model)
    if bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < CLOSE_TO_ONE).all()):
        notices.append(
            f"{source.model} gives probabilities and not logits, whose gradients vanish where it is sure of itself: "
            "attacks look weaker than they are; take its softmax off"
        )
    info = _info(source, _identity(model), record)
    return OpenedModel(info, config, model.eval(), tuple(notices))


def _model_config(source: ModelSource) -> ModelConfig:
    if not library_of(source.model):
        return ModelConfig()
    mean, std = usual_normalisation(source.model)
    return ModelConfig.model_validate({"architecture": source.model, "mean": mean, "std": std})


def _built(
    source: ModelSource, config: ModelConfig, data: Dataset, image: tuple[int, ...]
) -> WrittenModel | LibraryModel:
    generator, num_classes = make_generator(torch.device("cpu"), 0), len(data.class_names)
    if library_of(source.model):
        return whole_library_model(config, num_classes, generator)
    channels, height, width = image
    return written_model(source.model, num_classes, (channels, height, width), generator)


def _identity(model: WrittenModel | LibraryModel) -> str:
    """The hash of a model's tensors, and of its file's text or its name: equal weights do not make equal models."""
    origin = model.origin if isinstance(model, WrittenModel) else model.name
    return hashlib.sha256(f"{hash_tensors(model.state_dict())} {origin}".encode()).hexdigest()


def _info(source: ModelSource, sha256: str, record: Mapping[str, Any]) -> CheckpointInfo:
    return CheckpointInfo(
        path=source.place,
        run=source.model,
        step=0,
        phase="",
        epoch=0,
        metrics={},
        classifier=source.function,
        weights_sha256=sha256,
        num_bytes=0,
        tensors=(),
        metadata={MODEL: dict(record)},
    )
