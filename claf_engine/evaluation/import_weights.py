"""Take over weights that were trained elsewhere: a run folder with one checkpoint of our format."""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from claf_engine.compute.device import Compute
from claf_engine.config import DataConfig, ModelConfig, RunConfig
from claf_engine.config.known import named_source
from claf_engine.data.loading import catalogue_steps
from claf_engine.data.registered import is_registered, registered_source
from claf_engine.data.shapes import SHAPES
from claf_engine.evaluation.export_config import Told
from claf_engine.evaluation.foreign_weights import Converted, Foreign, convert, read_foreign, require_unit_scale
from claf_engine.evaluation.recognition import require_arch
from claf_engine.events.ticks import exhaust
from claf_engine.models.network import CLASSIFIERS, NATURAL
from claf_engine.runs import IMPORTED, RunDirectory, create_run, to_plain, versions
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.checkpoint import Description, checkpoint_path, save_checkpoint, weights_sha256
from claf_engine.training.state import TrainState, begin

Channels = tuple[float, ...]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of the labels (Krizhevsky 2009)."""
UNTRAINED = ("projection_head", *(f"classifiers.{name}" for name in CLASSIFIERS if name != NATURAL))
"""Parts of the network that an imported checkpoint holds freshly initialised."""


@dataclass(frozen=True)
class ImportRequest:
    """What to take over and how to read it.

    Attributes:
        file: a file of `torch.save` or safetensors, or a folder that has one, with a config.json or without.
        arch: an architecture of `ModelConfig`; None is what config.json, or names and shapes, tell.
        name: of the run.
        data: the source it was trained on, which gives the class names; None is what config.json says, or CIFAR-10.
        mean: channel means that the network expects its input to be normalised by; None is what the file says, or 0.
        std: channel deviations; None is what the file says, or 1.
        classes: names of the classes in the order of the network's outputs; None is the order of the data.
        command: the command line, for the record.
    """

    file: Path
    arch: str | None
    name: str
    data: str | None = None
    mean: Channels | None = None
    std: Channels | None = None
    classes: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What was written; `notices` are sentences about what was changed or left aside.

    `class_names` are in the order of the labels, and `output_order` in that of the file's own outputs.
    """

    directory: Path
    checkpoint: Path
    file: str
    file_sha256: str
    weights_sha256: str
    arch: str
    num_tensors: int
    mean: Channels
    std: Channels
    untrained: tuple[str, ...]
    class_names: tuple[str, ...]
    output_order: tuple[str, ...]
    notices: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """The same as a JSON object; its keys are stable."""
        return {
            **dataclasses.asdict(self),
            "run": self.directory.name,
            "directory": str(self.directory),
            "checkpoint": str(self.checkpoint),
        }


def import_checkpoint(request: ImportRequest, root: Path) -> Imported:
    """Write a run that holds foreign weights as its only checkpoint.

    Raises:
        CheckpointError: the file cannot be read, or does not fit the architecture or the classes.
        ConfigError: the data source has no such form, or the normalisation contradicts the file.
        DataError: the folder of the data source cannot be listed.
        RunError: the run cannot be written.
    """
    found = _understood(request)
    model, order, class_names = _normalised(request, found.converted), found.order, found.class_names
    config = RunConfig(method="natural", data=found.images, model=model)
    image_size = found.foreign.told.image_size
    state = _state(config, _in_label_order(found.converted, order, class_names), image_size)
    arch, sha256 = model.architecture, found.foreign.sha256
    origin = {"file": request.file.name, "sha256": sha256, "arch": arch, "untrained": UNTRAINED, "output_order": order}
    directory = create_run(root, request.name, config, list(request.command))
    path = _write_run(directory, state, _description(directory, class_names, origin, image_size))
    return Imported(
        directory=path.parent.parent,
        checkpoint=path,
        file=request.file.name,
        file_sha256=sha256,
        weights_sha256=weights_sha256(state.network),
        arch=arch,
        num_tensors=len(found.foreign.tensors),
        mean=model.mean,
        std=model.std,
        untrained=UNTRAINED,
        class_names=class_names,
        output_order=order,
        notices=(*found.converted.notices, *_order_notices(order, class_names)),
    )


@dataclass(frozen=True)
class _Understood:
    """What a file turned out to be.

    Attributes:
        foreign: as it was found.
        converted: by our names, its outputs in their own order.
        images: that it was trained on.
        class_names: in the order of the labels.
        order: in the order of the outputs.
    """

    foreign: Foreign
    converted: Converted
    images: DataConfig
    class_names: tuple[str, ...]
    order: tuple[str, ...]


def _understood(request: ImportRequest) -> _Understood:
    given = None if request.data is None else named_source(request.data)
    if request.arch is not None:
        require_arch(request.arch)
    foreign = read_foreign(request.file)
    source = given or named_source(foreign.told.data or "cifar10")
    class_names = _class_names(source)
    converted = convert(foreign, request.arch, request.file)
    if converted.num_classes != len(class_names):
        raise CheckpointError(
            f"{request.file} tells {converted.num_classes} classes apart, and {source} has {len(class_names)}; "
            "name the data it was trained on with --data"
        )
    images = DataConfig(source=source, image_size=foreign.told.cut_to)
    return _Understood(foreign, converted, images, class_names, _output_order(request, foreign.told, class_names))


def _class_names(source: str) -> tuple[str, ...]:
    if source == "cifar10":
        return CIFAR10_CLASSES
    if (found := exhaust(catalogue_steps(DataConfig(source=source)))) is not None:
        return found.class_names
    if is_registered(source):
        return exhaust(registered_source(DataConfig(source=source))).class_names
    return tuple(SHAPES)


def _output_order(request: ImportRequest, told: Told, class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Class names in the order of the network's outputs: as given, or as config.json says, or as the data has them.

    Raises:
        ConfigError: those that were given are not the classes of the data, each once.
        CheckpointError: config.json names other classes than the data has.
    """
    given = request.classes
    if given is None and told.model is not None and told.class_names:
        if sorted(told.class_names) != sorted(class_names):
            raise CheckpointError(
                f"{request.file} tells {', '.join(told.class_names[:6])}, ... apart, and the data has "
                f"{', '.join(class_names[:6])}, ...; name the data it was trained on with --data"
            )
        return told.class_names
    if given is None:
        return class_names
    if sorted(given) != sorted(class_names):
        raise ConfigError(
            f"--classes has {len(given)} names, {', '.join(given[:6])}, ..., and the data has the {len(class_names)} "
            f"classes {', '.join(class_names[:6])}, ...; name each of them once, in the order of the network's outputs"
        )
    return given


def _in_label_order(converted: Converted, order: tuple[str, ...], class_names: tuple[str, ...]) -> Converted:
    """The same network, whose outputs are in the order of the labels.

    Raises:
        CheckpointError: they are in another order, and no linear classifier of its own is there to put them in this.
    """
    rows = torch.tensor([order.index(name) for name in class_names])
    placed = tuple(f"classifiers.{NATURAL}.{part}" for part in ("weight", "bias"))
    if order != class_names and placed[0] not in converted.tensors:
        raise CheckpointError(
            f"{converted.model.architecture} does not end in a linear layer, so that its outputs stay in the order "
            f"{', '.join(order[:6])}, ...; let its own code give them in that of the data, {', '.join(class_names[:6])}"
        )
    tensors = {name: tensor[rows] if name in placed else tensor for name, tensor in converted.tensors.items()}
    return dataclasses.replace(converted, tensors=tensors)


def _order_notices(order: tuple[str, ...], class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Say that folders whose names are numbers are not in the order of these numbers."""
    if order != class_names or not all(name.isascii() and name.isdigit() for name in class_names):
        return ()
    numerical = tuple(sorted(class_names, key=int))
    if numerical == class_names:
        return ()
    return (
        f"the classes are taken in alphabetical order, {', '.join(class_names[:6])}, ...; if the network's outputs are "
        f"in the order of the numbers, import it with --classes {','.join(numerical)}",
    )


def _normalised(request: ImportRequest, converted: Converted) -> ModelConfig:
    """The model with the normalisation that the command line gives, unless the file says otherwise."""
    model = converted.model
    asked = {name: value for name, value in (("mean", request.mean), ("std", request.std)) if value is not None}
    if asked:
        require_unit_scale(request.mean or (0.0,), request.std or (1.0,), " and ".join(f"--{name}" for name in asked))
    for name, value in asked.items():
        told = getattr(model, name)
        if converted.has_normalisation and told != value:
            raise ConfigError(f"--{name} is {value}, but {request.file} itself normalises by {told}; leave it out")
    try:
        return ModelConfig.model_validate({**model.model_dump(), **asked})
    except ValidationError as error:
        raise ConfigError(
            f"--mean {request.mean} and --std {request.std}: give finite numbers, std above 0, "
            "one for each channel of the images"
        ) from error


def _on_cpu() -> Compute:
    return Compute(torch.device("cpu"), "fp32", torch.get_num_threads())


def _state(config: RunConfig, converted: Converted, image_size: tuple[int, int] | None) -> TrainState:
    """The network with the foreign weights, as at the end of training; the rest is as at the beginning."""
    state = begin(config, converted.num_classes, _on_cpu(), image_size)
    state.network.load_state_dict({**state.network.state_dict(), **converted.tensors})
    state.cursor.end_phase()
    return state


def _write_run(directory: RunDirectory, state: TrainState, description: Description) -> Path:
    """Write the checkpoint and let go of the run; where that fails, no run is left behind."""
    path = checkpoint_path(directory.checkpoints, 0)
    try:
        save_checkpoint(path, state, description)
        source = directory.config.data.source
        directory.write_status({"status": IMPORTED, "method": "foreign", "data": source, "step": 0})
    except BaseException:
        directory.close()
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    directory.close()
    return path


def _description(
    directory: RunDirectory, class_names: tuple[str, ...], origin: dict[str, Any], image_size: tuple[int, int] | None
) -> Description:
    return Description(
        run=directory.path.name,
        config=to_plain(directory.config),
        phase=f"imported from {origin['file']}",
        metrics={},
        classifier=NATURAL,
        class_names=class_names,
        num_records=0,
        compute=_on_cpu().record(),
        versions=versions(),
        trained_classifiers=(NATURAL,),
        imported=origin,
        image_size=image_size,
    )
