"""Opens a checkpoint for measuring: its network, one classifier of it, a device, and images of the same classes."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from claf_engine.compute.device import Compute, choose_compute
from claf_engine.compute.world import World
from claf_engine.config import DataConfig, RunConfig, RuntimeConfig
from claf_engine.config.acl import batch_norm_notices
from claf_engine.config.known import named_source
from claf_engine.config.sources import FOLDER
from claf_engine.data import Dataset, dataset_steps, to_pixels
from claf_engine.data.fingerprint import SplitName
from claf_engine.data.folder import folder_catalogue
from claf_engine.evaluation.model_source import ModelSource, open_model
from claf_engine.events.ticks import Pulse
from claf_engine.models.network import CLASSIFIERS, Network, Pipeline
from claf_engine.models.probing import require_logits
from claf_engine.runs import runs_root
from claf_engine.runs.choosing import open_chosen
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError, ConfigError, DataError
from claf_engine.training.checkpoint import load_trained_network
from claf_engine.training.identity import compare_images, placed_images, require_channels
from claf_engine.training.methods import begun_classifiers, phases_of
from claf_engine.training.partner import measured_encoder_notices
from claf_engine.training.state import Cursor

CONTIGUOUS = "contiguous"
LoadImages = Callable[[DataConfig, torch.device, tuple[SplitName, ...]], Generator[Pulse, None, Dataset]]


@dataclass(frozen=True)
class Opened:
    """A checkpoint that can be measured.

    Attributes:
        info: its header.
        config: the settings of its run.
        network: on the device; None where what is measured is no network of ours.
        classifier: the name of the one that is measured.
        compute: where.
        data: images of the classes that the network was trained on.
        notices: what a reader of figures must know of the images, and of the network where it has a choice.
        whole: pixels to logits, on the device; what is measured where there is no network of ours.
    """

    info: CheckpointInfo
    config: RunConfig
    network: Network | None
    classifier: str
    compute: Compute
    data: Dataset
    notices: tuple[str, ...] = ()
    whole: nn.Module | None = None

    @property
    def model(self) -> nn.Module:
        """Images (N, C, H, W) in [0, 1] to logits (N, K) of the classifier."""
        if self.network is not None:
            return self.network.with_classifier(self.classifier)
        assert self.whole is not None, "one of the two is there"
        return self.whole


@dataclass(frozen=True)
class Wanted:
    """Which images a checkpoint is measured on.

    Attributes:
        source: another source than the run's, or None.
        num_train: training images of another source (see `data_config`).
        splits: those that are measured; of the run's own source they must be what it was trained with.
        accepts_changed: tell changed images instead of refusing them.
    """

    source: str | None = None
    num_train: int | None = 1
    splits: tuple[SplitName, ...] = ("test",)
    accepts_changed: bool = False


OWN_TEST_IMAGES = Wanted()


def open_steps(
    checkpoint: Path,
    *,
    classifier: str | None = None,
    wanted: Wanted = OWN_TEST_IMAGES,
    device: str | None = None,
    load_images: LoadImages | None = None,
    world: World = World(),  # noqa: B008 (frozen)
) -> Generator[Pulse, None, Opened]:
    """Open a checkpoint for measuring.

    Args:
        checkpoint: the file.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        wanted: the images.
        device: auto, cpu, cuda or cuda:N; None is where, and how, the run was trained.
        load_images: gives the images, where somebody keeps them; by default they are loaded.
        world: the processes that measure together; each opens the file.

    Raises:
        CheckpointError: the file cannot be read, or its classifier was not trained.
        DataError: the images cannot be had, have other classes or another number of channels, or were changed.
        ConfigError: the data source or the device has no such form.
    """
    info, config, network = load_trained_network(checkpoint)
    classifier = classifier or info.classifier
    require_trained(info, config, classifier)
    runtime = config.runtime if device is None else _elsewhere(config.runtime, device)
    compute = choose_compute(runtime, world)
    images, placed = placed_images(data_config(config, wanted.source, wanted.num_train), info.run)
    splits, lacking = _splits_there(images, wanted.splits)
    data = yield from (load_images or dataset_steps)(images, compute.device, splits)
    if wanted.source is None:
        compared = compare_images(info, data, is_accepted=wanted.accepts_changed, splits=splits)
        notices = (*placed, *lacking, *compared)
    else:
        require_same_classes(info, data)
        measured = f"measured on {data.name}, which --data names, and not on the run's own {config.data.source}"
        notices = (measured, *lacking)
    require_channels(config, data)
    compute.place(network)
    notices = (*notices, *batch_norm_notices(config.method, config.acl), *measured_encoder_notices(config))
    return Opened(info, config, network, classifier, compute, data, notices)


def open_source_steps(
    source: ModelSource,
    *,
    wanted: Wanted,
    device: str,
    classifier: str | None = None,
    world: World = World(),  # noqa: B008 (frozen)
) -> Generator[Pulse, None, Opened]:
    """Open a model that no run of ours trained for measuring.

    It is measured in fp32 and in the usual layout of images, because a module may ask for that.

    Args:
        source: the model.
        wanted: the images, whose source must be named.
        device: auto, cpu, cuda or cuda:N.
        classifier: must be None: the model has one alone.
        world: the processes that measure together; each opens the model.

    Raises:
        ClafError: see `open_model`; or no images are named, or they cannot be had.
    """
    if wanted.source is None:
        raise ConfigError("--model needs --data: name the images that it is measured on, such as --data cifar10")
    if classifier is not None:
        raise ConfigError(f"--classifier chooses among those of a checkpoint, and {source.model} has one; leave it out")
    compute = choose_compute(
        RuntimeConfig.model_validate({"device": device, "precision": "fp32", "layout": CONTIGUOUS}),
        world,
    )
    images = data_config(RunConfig(), wanted.source, wanted.num_train)
    # As they are: a module of a user's takes gray images or colours, and a library's makes three channels of one.
    images = images.model_copy(update={"channels": None})
    splits, lacking = _splits_there(images, wanted.splits)
    data = yield from dataset_steps(images, compute.device, splits)
    found = open_model(source, data)
    compute.place(found.model)
    if compute.device.type != "cpu":  # what a module does not count among its tensors stays behind
        require_logits(found.model, to_pixels(data.test.images[:2]), len(data.class_names), source.model)
    notices = (*lacking, *found.notices)
    return Opened(found.info, found.config, None, source.function, compute, data, notices, found.model)


def _elsewhere(trained: RuntimeConfig, device: str) -> RuntimeConfig:
    """The run's runtime on a device that may be another: its precision was chosen for its own, a layout is at home on
    all, and measuring which is the fastest takes longer than measuring a small test set.
    """
    return RuntimeConfig(device=device, threads=trained.threads, layout=trained.layout)


def _splits_there(images: DataConfig, wanted: tuple[SplitName, ...]) -> tuple[tuple[SplitName, ...], tuple[str, ...]]:
    """The splits that there are, and a sentence where training images are wanted and a folder has none."""
    if "train" not in wanted or not images.source.startswith(FOLDER):
        return wanted, ()
    found = folder_catalogue(images, needs_train=False)
    if len(found.train):
        return wanted, ()
    notice = f"{found.place} has no train/: what is fitted on training images was not run"
    return tuple(name for name in wanted if name != "train"), (notice,)


def load_network(checkpoint: str | Path, classifier: str | None = None, device: str | torch.device = "cpu") -> Pipeline:
    """The network of a checkpoint as one module, ready to be asked, attacked or built upon.

    Args:
        checkpoint: a file; or a run's folder or name, or "latest", which stand for the best checkpoint.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        device: where.

    Returns:
        Images (N, C, H, W) in [0, 1] to logits (N, K), in eval mode, with parts `encoder` (images to features (N, D))
        and `classifier` (features to logits).

    Raises:
        CheckpointError: it cannot be read, or its classifier was not trained.
        RunError: there is no such run.
    """
    info, config, network = open_chosen(str(checkpoint), runs_root(), "best", load_trained_network)
    classifier = classifier or info.classifier
    require_trained(info, config, classifier)
    return network.with_classifier(classifier).eval().to(device)


def data_config(config: RunConfig, source: str | None, num_train: int | None = 1) -> DataConfig:
    """The images of a run, or those of another source.

    Args:
        config: of the run.
        source: another source than the run's, or None.
        num_train: training images of another source, which may have fewer than the run's; None is all.

    Raises:
        ConfigError: the source has no such form.
    """
    if source is None:
        return config.images
    sizes = {"num_train": num_train, "num_validation": 1, "num_test": None}
    return config.images.model_copy(update={"source": named_source(source), **sizes})


def require_same_classes(info: CheckpointInfo, data: Dataset) -> None:
    """Refuse images of other classes than a checkpoint was trained on.

    Raises:
        DataError: they have other classes.
    """
    trained = tuple(info.metadata["claf.class_names"])
    if trained != data.class_names:
        raise DataError(
            f"the checkpoint was trained on classes {', '.join(trained[:4])}, ..., but {data.name} has "
            f"{', '.join(data.class_names[:4])}, ...; choose the data it was trained on"
        )


def size_notices(info: CheckpointInfo, data: Dataset) -> tuple[str, ...]:
    """Say that images are of another size than a checkpoint was trained on; nothing where that is unknown."""
    if info.image_size in (None, data.image_size):
        return ()
    (was_high, was_wide), (high, wide) = info.image_size, data.image_size
    return (
        f"the network was trained on images of {was_wide}x{was_high} pixels and measured on {wide}x{high}: the figures "
        "are those of another task; give images of the size that it was trained on",
    )


def require_trained(info: CheckpointInfo, config: RunConfig, classifier: str) -> None:
    """Refuse to measure a classifier that holds nothing but the weights it was initialised with.

    Args:
        info: the checkpoint.
        config: the settings of its run.
        classifier: which one is to be measured.

    Raises:
        CheckpointError: there is no such classifier, its method does not train it, or had not begun to.
        ConfigError: the settings train nothing.
    """
    if classifier not in CLASSIFIERS:
        raise CheckpointError(f"there is no classifier {classifier!r}; a checkpoint has {', '.join(CLASSIFIERS)}")
    told = info.metadata.get("claf.trained_classifiers")
    trained = tuple(map(str, told)) if isinstance(told, list) else _trained_by(config)
    if classifier not in trained:
        where = "it was imported with" if isinstance(told, list) else f"its run (method {config.method}) trains"
        raise CheckpointError(
            f"the {classifier} classifier of {info.path.name} is untrained: {where} {' and '.join(trained) or 'none'}"
        )
    if told is None and classifier not in _begun(info, config):
        raise CheckpointError(
            f"the {classifier} classifier of {info.path.name} is untrained: it was saved in phase {info.phase!r}, too "
            "early; choose a later checkpoint of the run"
        )


def _trained_by(config: RunConfig) -> tuple[str, ...]:
    """The classifiers that a whole run trains."""
    return tuple(dict.fromkeys(phase.classifier for phase in phases_of(config) if phase.classifier is not None))


def _begun(info: CheckpointInfo, config: RunConfig) -> tuple[str, ...]:
    """The classifiers that had taken a step when the checkpoint was saved."""
    try:
        cursor = Cursor.from_record(info.metadata["claf.cursor"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{info.path} does not say how far its run had come ({error})") from error
    return begun_classifiers(phases_of(config), cursor)
