"""config.json beside exported weights: what the network is, takes, and is known to withstand. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from claf_engine.config import ModelConfig, RunConfig
from claf_engine.config.registry import DEFAULT_ARCHITECTURE, library_of
from claf_engine.config.sources import MAX_SIDE, MIN_SIDE, file_of, is_on_disk, published_source
from claf_engine.runs.foreign import CARD_CAP, read_object
from claf_engine.runs.header import CheckpointInfo, size_of
from claf_engine.terms.errors import CheckpointError, ForeignFileError

CONFIG = "config.json"
FORMAT = 1
COLOURS = 3
"""Channels of what a library's network takes; a gray image is given to it three times."""
SETTINGS = ("architecture", "stem", "width", "blocks", "activation", "logits", "logit_scale", "mean", "std")
"""Settings of the model that its encoder and its classifier are made by."""


@dataclass(frozen=True)
class Described:
    """The network that is exported, for `config_record`.

    Attributes:
        names: the naming of its tensors; empty where they have none, as in ONNX.
        architecture: its name in the library that loads it, or else the setting.
        model_args: what the library's constructor is given besides the number of classes.
        stem: the setting, where the encoder is ours; else empty.
        normalises_itself: whether the exported network takes pixels as they are.
        classifier: which of the checkpoint's.
    """

    names: str
    architecture: str
    model_args: Mapping[str, Any]
    stem: str
    normalises_itself: bool
    classifier: str


@dataclass(frozen=True)
class Told:
    """What a config.json, or the header of an exported file, says of weights; what is empty it does not say.

    Attributes:
        model: the settings of a network of ours.
        architecture: the name in timm of a network of others.
        mean: channel means that a network of others takes.
        std: channel deviations alike.
        class_names: in the order of the outputs.
        classifier: the one that is meant of a file with several.
        data: the source that it was trained on, where it has no path.
        image_size: height and width that it was trained on.
        cut_to: the side that images were cut and resized to for it; None where they were not (`data.image_size`).
    """

    model: ModelConfig | None = None
    architecture: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    class_names: tuple[str, ...] = ()
    classifier: str = ""
    data: str = ""
    image_size: tuple[int, int] | None = None
    cut_to: int | None = None


def config_record(
    info: CheckpointInfo, config: RunConfig, described: Described, card: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What config.json says, but for the exported file itself.

    Args:
        info: the checkpoint's header.
        config: the settings of its run.
        described: how its network is exported.
        card: its robustness card, or None.
    """
    class_names = list(info.metadata["claf.class_names"])
    settings = config.model.model_dump(mode="json")
    is_gray_for_a_library = len(config.model.mean) == 1 and bool(library_of(config.model.architecture))
    times = COLOURS if is_gray_for_a_library and not described.normalises_itself else 1
    mean, std = settings["mean"] * times, settings["std"] * times
    is_told = file_of(config.model.architecture) is None  # a file's own module makes nothing of these settings
    record = {
        "format": FORMAT,
        "architecture": described.architecture,
        "names": described.names,
        "model_args": dict(described.model_args),
        "stem": described.stem,
        "num_classes": len(class_names),
        "class_names": class_names,
        "num_channels": len(mean),
        "image_size": None if info.image_size is None else list(info.image_size),
        "cut_to": config.data.image_size,
        "input_range": [0.0, 1.0],
        "mean": mean if is_told else None,
        "std": std if is_told else None,
        "pixels_to_logits": f"logits = model({'images' if described.normalises_itself else '(images - mean) / std'})",
        "model": {name: settings[name] for name in SETTINGS if name != "blocks" or _has_blocks(config.model)},
        "classifier": described.classifier,
        "run": info.run,
        "step": info.step,
        "method": config.method,
        "data": published_source(config.data.source),
        "weights": info.weights,
        "weights_sha256": info.weights_sha256,
        "robustness": None if card is None else _robustness(card),
    }
    return record | (_of_timm(record) if described.names == "timm" else {})


def read_told(path: Path, sha256: str) -> Told:
    """What a config.json says: one of ours, or one of timm.

    Args:
        path: of config.json.
        sha256: of the file of weights beside it.

    Raises:
        CheckpointError: it is damaged, or of ours and about another file.
    """
    try:
        record = read_object(path, CARD_CAP)
    except ForeignFileError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(record.get("model"), dict) or "names" not in record:
        return _told_by_timm(record, path)
    if record.get("sha256") != sha256:
        raise CheckpointError(f"{path} describes other weights than those beside it; export both anew")
    return _told(record, path)


def told_by_header(header: Mapping[str, str], path: Path) -> Told:
    """What the header of a file that `runs.exporting` wrote says; nothing, where another program wrote it.

    Raises:
        CheckpointError: it is damaged.
    """
    if "claf.config" not in header:
        return Told()
    try:
        read = {key.removeprefix("claf."): json.loads(text) for key, text in header.items() if key.startswith("claf.")}
        config = read["config"]
        data = config["data"]
        told = {"model": config["model"], "data": data["source"], "cut_to": data.get("image_size")}
        return _told({**read, **told}, path)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the header of {path} is damaged ({error}); export it anew") from error


def _told(record: Mapping[str, Any], path: Path) -> Told:
    settings = {name: value for name, value in record["model"].items() if name in SETTINGS}
    try:
        model = ModelConfig.model_validate(settings)
    except (ValidationError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(f"{path} holds settings of a model that this version does not know: {first}") from error
    source, side = record.get("data"), record.get("cut_to")
    return Told(
        model=model,
        class_names=_names(record.get("class_names")),
        classifier=str(record.get("classifier", "")),
        data=source if isinstance(source, str) and not is_on_disk(source) else "",
        image_size=size_of(record.get("image_size")),
        cut_to=side if type(side) is int and MIN_SIDE <= side <= MAX_SIDE else None,
    )


def _told_by_timm(record: Mapping[str, Any], path: Path) -> Told:
    inner = record.get("pretrained_cfg")
    fields = {**record, **(inner if isinstance(inner, dict) else {})}
    architecture = fields.get("architecture")
    if not isinstance(architecture, str):
        return Told()
    mean, std = (_channels(fields.get(name), f"{name} of {path}") for name in ("mean", "std"))
    return Told(architecture=architecture, mean=mean, std=std, class_names=_names(fields.get("label_names")))


def _of_timm(record: Mapping[str, Any]) -> dict[str, Any]:
    """What timm reads of a config.json."""
    height, width = record["image_size"] or (224, 224)
    size = [record["num_channels"], height, width]
    inner = {"mean": record["mean"], "std": record["std"], "input_size": size, "num_classes": record["num_classes"]}
    return {"label_names": record["class_names"], "pretrained_cfg": inner}


def _robustness(card: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("kind", "verdict", "natural", "worst_case", "epsilons", "num_examples", "budget", "seed", "date")
    told = {key: card[key] for key in keys if key in card}
    attacks = [
        {key: item.get(key) for key in ("label", "epsilon", "robust_accuracy", "notice")} for item in card["attacks"]
    ]
    return {**told, "data": published_source(str(card.get("data", ""))), "attacks": attacks}


def _has_blocks(model: ModelConfig) -> bool:
    """Whether the setting is of effect."""
    return model.architecture == DEFAULT_ARCHITECTURE


def _names(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) and all(isinstance(name, str) for name in value) else ()


def _channels(value: Any, what: str) -> tuple[float, ...] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) not in (1, 3)
        or not all(isinstance(each, int | float) for each in value)
    ):
        raise CheckpointError(f"the {what} is no list of one or three numbers; correct it or give --mean and --std")
    return tuple(float(each) for each in value)
