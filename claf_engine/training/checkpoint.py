"""Checkpoints: one safetensors file, hashed, written whole or not at all. No pickle.

Tensors: `network.*`, `companion.NAME.*`, `optimizer.NAME.INDEX.KEY`, `generator.NAME`, `order`, `loss_sum`, and, while
stage 2 needs them, `features` (to replay) and `perturbations` (to start from). Where weights are averaged, `network.*`
is the average, as everybody measures it, and `trained.*` are the weights that training goes on with. Everything else is
JSON in the metadata (`runs.header` reads it without torch). Two hashes: `claf.weights_sha256` covers the network alone,
so that equal weights can be recognised across runs; `claf.sha256` covers all tensors and all metadata.
"""

import dataclasses
import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.compute.seeding import continue_stream, derive_seed, generator_states
from claf_engine.config import ModelConfig, RunConfig
from claf_engine.config.registry import DEFAULT_ARCHITECTURE
from claf_engine.events.plain import check_of
from claf_engine.models.architectures import is_own
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.network import Network, build_network
from claf_engine.runs.durable import FolderNotFlushed, write_atomically
from claf_engine.runs.header import (
    DECAY_KEY,
    FORMAT_KEY,
    FORMAT_VERSION,
    NETWORK,
    TRAINED,
    CheckpointInfo,
    read_info,
    unreadable,
)
from claf_engine.runs.plugins import missing_plugin
from claf_engine.terms.errors import CheckpointError, ConfigError, NonFiniteLoss
from claf_engine.training.averaging import begin_average
from claf_engine.training.companions import Surroundings, build_companion, place_companion
from claf_engine.training.state import Cursor, Ledger, TrainState, begin, make_optimizer

COMPANION = "companion."
"""Before the names of the tensors of networks that are trained beside the measured one."""
KEPT_IF_ANY = ("features", "perturbations")
"""Tensors of a state that most states do not have."""


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself besides the state.

    Attributes:
        num_records: journal records that came before it.
        compute: device, precision, layout and threads it was trained with.
        trained_classifiers: those that may be evaluated, where the method does not say so by itself.
        begun_classifiers: those that have taken a step, for whoever lists them without torch.
        imported: where foreign weights come from: file name, its SHA-256, architecture, untrained parts.
        data: fingerprint of the images that it was trained with (see `claf_engine.data.fingerprint`).
        image_size: height and width of the images that it was trained on, where that is known.
        progress: part of the planned optimiser steps that was taken, where a run of ours saved it.
    """

    run: str
    config: Mapping[str, Any]
    phase: str
    metrics: Mapping[str, float]
    classifier: str
    class_names: tuple[str, ...]
    num_records: int
    compute: Mapping[str, Any]
    versions: Mapping[str, str]
    requested: bool = False
    trained_classifiers: tuple[str, ...] | None = None
    begun_classifiers: tuple[str, ...] | None = None
    imported: Mapping[str, Any] | None = None
    image_size: tuple[int, int] | None = None
    data: Mapping[str, Any] | None = None
    progress: float | None = None


class NotDurable(CheckpointError):
    """A checkpoint was written whole, but a crash of the machine might still undo that: its folder was not flushed.

    Attributes:
        num_bytes: its size.
    """

    def __init__(self, sentence: str, num_bytes: int = 0) -> None:
        super().__init__(sentence)
        self.num_bytes = num_bytes


class TrainedNetwork(NamedTuple):
    """What a checkpoint holds for whoever only measures it: its header, the settings of its run, and its network."""

    info: CheckpointInfo
    config: RunConfig
    network: Network


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a step; names sort by step."""
    return folder / f"step-{step:09d}.safetensors"


def save_checkpoint(path: Path, state: TrainState, description: Description) -> int:
    """Write a checkpoint; it is durable when this returns.

    Returns:
        Its size in bytes.

    Raises:
        NotDurable: it was written whole, and its folder cannot be flushed.
        CheckpointError: it cannot be written; nothing else is harmed.
        NonFiniteLoss: a weight is NaN or infinite, so there is nothing worth keeping.
    """
    tensors = state_tensors(state)
    _require_finite(tensors, state)
    metadata = _metadata(state, description)
    metadata["claf.weights_sha256"] = json.dumps(hash_tensors(_network_part(tensors)))
    metadata["claf.sha256"] = json.dumps(whole_sha256(tensors, metadata))
    data = save(tensors, metadata)
    try:
        write_atomically(path, data)
    except FolderNotFlushed as error:
        raise NotDurable(f"cannot flush {path.parent} to the disk: {error.strerror}", len(data)) from error
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}; older checkpoints are untouched") from error
    return len(data)


def load_checkpoint(path: Path) -> tuple[CheckpointInfo, dict[str, Tensor]]:
    """Read a whole checkpoint and verify its hash.

    Raises:
        CheckpointGone: it is missing, or goes while it is read.
        CheckpointError: a pickle, truncated, altered, or not a checkpoint of ours.
    """
    info = read_info(path)
    try:
        tensors = load(path.read_bytes())
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata()
    except (SafetensorError, OSError) as error:
        raise unreadable(path, f"{path} is truncated or damaged: {error}") from error
    stated = metadata.pop("claf.sha256", None)
    if json.dumps(whole_sha256(tensors, metadata)) != stated:
        raise CheckpointError(f"{path} was altered or damaged: its SHA-256 does not match; use another checkpoint")
    return info, tensors


def restore_state(config: RunConfig, num_classes: int, compute: Compute, path: Path) -> TrainState:
    """Rebuild the state that `save_checkpoint` wrote, on its device.

    A random stream of one kind of device cannot go on on another; there it begins anew, from the seed and the step.

    Raises:
        CheckpointError: it cannot be read, or belongs to another architecture.
    """
    info, tensors = load_checkpoint(path)
    state = begin(config, num_classes, compute, info.image_size)
    is_averaged = any(name.startswith(TRAINED) for name in tensors)
    load_weights(state.network, tensors, path, TRAINED if is_averaged else NETWORK)
    if is_averaged and config.averaging.decay:
        state.average = begin_average(state.network, config.model, num_classes, compute, info.image_size)
        load_weights(state.average, tensors, path)
    for name in _companions_in(tensors):
        companion = _companion(name, tensors, TrainedNetwork(info, config, state.network), path)
        state.companions[name] = place_companion(companion, compute)
    try:
        for name, groups in info.metadata["claf.optimizers"].items():
            state.optimizers[name] = make_optimizer(config, state, name)
            load_optimizer(state.optimizers[name], _optimizer_slots(tensors, name), groups)
        for name, generator in state.generators.items():
            continue_stream(generator, tensors[f"generator.{name}"], derive_seed(config.seed, name, info.step))
        state.order, state.loss_sum = tensors["order"], tensors["loss_sum"].to(compute.device)
        for name in KEPT_IF_ANY:
            setattr(state, name, tensors[name].to(compute.device) if name in tensors else None)
        state.loss_count = operator.index(info.metadata["claf.loss_count"])
        state.cursor = Cursor.from_record(info.metadata["claf.cursor"])
        state.ledger = Ledger.from_record(info.metadata["claf.ledger"])
        if state.average is None:
            state.ledger.averaged.clear()
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path} lacks part of its state ({error}); resume from an older checkpoint") from error
    return state


def load_trained_network(path: Path) -> TrainedNetwork:
    """The network of a checkpoint, on the CPU, with what the checkpoint says of itself.

    Raises:
        CheckpointError: it cannot be read, or its configuration is not one of ours, or needs a plugin.
    """
    info, tensors = load_checkpoint(path)
    try:
        config = RunConfig.model_validate(info.metadata["claf.config"])
        num_classes = len(info.metadata["claf.class_names"])
    except (KeyError, TypeError, ValidationError) as error:
        plain = info.metadata.get("claf.config")
        if isinstance(plain, Mapping) and (missing := missing_plugin(plain, path.absolute().parent.parent)):
            raise CheckpointError(f"{path.name} needs a plugin: {missing}") from error
        raise CheckpointError(f"{path} holds no configuration that this version knows") from error
    _require_claimed(config.model, num_classes, tensors, path)
    network = build_network(config.model, num_classes, torch.Generator(), info.image_size)
    load_weights(network, tensors, path)
    return TrainedNetwork(info, config, network)


def load_companion(path: Path, name: str) -> nn.Module:
    """A network that was trained beside the measured one, on the CPU in eval mode (see `companions`).

    Raises:
        CheckpointError: the file cannot be read, or holds no such network.
    """
    trained = load_trained_network(path)
    _, tensors = load_checkpoint(path)
    if name not in _companions_in(tensors):
        raise CheckpointError(f"{path.name} holds no {name}: its run (method {trained.config.method}) trained none")
    return _companion(name, tensors, trained, path).eval()


def _companions_in(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The names of the companions that a checkpoint holds."""
    return tuple(dict.fromkeys(key.split(".")[1] for key in tensors if key.startswith(COMPANION)))


def _companion(name: str, tensors: Mapping[str, Tensor], trained: TrainedNetwork, path: Path) -> nn.Module:
    """A companion with the weights of a checkpoint, on the CPU.

    Raises:
        CheckpointError: this version knows none of its name, or its weights are of another one.
    """
    width = int(trained.network.encoder.num_features)  # type: ignore[arg-type]
    num_classes = len(trained.info.metadata["claf.class_names"])
    surroundings = Surroundings(trained.config, width, num_classes, trained.info.image_size)
    try:
        companion = build_companion(name, surroundings, torch.Generator())
    except ConfigError as error:
        raise CheckpointError(f"{path.name}: {error}") from error
    found = _network_part(tensors, f"{COMPANION}{name}.")
    _require_fitting(companion.state_dict(), found, path)
    companion.load_state_dict(found)
    return companion


def load_weights(network: Network, tensors: Mapping[str, Tensor], path: Path, prefix: str = NETWORK) -> None:
    """Load weights and buffers after checking names, shapes and dtypes.

    Args:
        network: to fill, in place.
        tensors: of a checkpoint.
        path: its file.
        prefix: of the names of those to load.

    Raises:
        CheckpointError: the first thing that does not fit, by name.
    """
    found = _network_part(tensors, prefix)
    _require_fitting(network.state_dict(), found, path)
    network.load_state_dict(found)


def _require_claimed(config: ModelConfig, num_classes: int, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Compare the network that a checkpoint says it holds with its tensors, before the network takes any memory."""
    if not is_own(config):
        return
    try:
        if config.architecture == DEFAULT_ARCHITECTURE and sum(config.blocks) > len(tensors):
            raise ValueError("it has more blocks than tensors")
        with torch.device("meta"):
            network = Network(config, num_classes)
    except (ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is of another architecture than it says; use another checkpoint") from error
    _require_fitting(network.state_dict(), _network_part(tensors), path)


def _require_fitting(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found or name not in wanted:
            place = "lacks" if name not in found else "has an unknown"
            raise CheckpointError(f"{path} is of another architecture: it {place} tensor {name}")
        if wanted[name].shape != found[name].shape or wanted[name].dtype != found[name].dtype:
            shapes = f"{tuple(found[name].shape)}, this network {tuple(wanted[name].shape)}"
            raise CheckpointError(f"{path} is of another architecture: {name} has shape {shapes}")


def state_tensors(state: TrainState) -> dict[str, Tensor]:
    """All tensors of a state, contiguous and on the CPU, by the names they are stored under."""
    tensors = {NETWORK + name: tensor for name, tensor in state.measured.state_dict().items()}
    if state.average is not None:
        tensors |= {TRAINED + name: tensor for name, tensor in state.network.state_dict().items()}
    for name, companion in state.companions.items():
        tensors |= {f"{COMPANION}{name}.{key}": tensor for key, tensor in companion.state_dict().items()}
    for name, optimizer in state.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            for slot, value in slots.items():
                if value is not None:
                    tensors[f"optimizer.{name}.{index}.{slot}"] = value
    for name, generator_state in generator_states(state.generators).items():
        tensors[f"generator.{name}"] = generator_state
    tensors |= {"order": state.order, "loss_sum": state.loss_sum}
    tensors |= {name: kept for name in KEPT_IF_ANY if (kept := getattr(state, name)) is not None}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def largest_trained_value(tensors: Mapping[str, Tensor]) -> float:
    """The largest magnitude among the weights and what optimisers remember of their gradients; 0 where there are none.

    Statistics of BatchNorm, which follow the features, and counts of steps are left out.
    """
    trained = [
        tensor
        for name, tensor in tensors.items()
        if name.startswith((NETWORK, TRAINED, COMPANION, "optimizer."))
        and tensor.is_floating_point()
        and tensor.numel()
        and not name.endswith((".running_mean", ".running_var", ".step"))
    ]
    return max((float(tensor.abs().max()) for tensor in trained), default=0.0)


def weights_sha256(network: Network) -> str:
    """The hash of a network that its checkpoints carry."""
    return hash_tensors(network.state_dict())


def _optimizer_slots(tensors: Mapping[str, Tensor], name: str) -> dict[int, dict[str, Tensor]]:
    prefix = f"optimizer.{name}."
    slots: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            index, slot = key.removeprefix(prefix).split(".", 1)
            slots.setdefault(int(index), {})[slot] = tensor
    return slots


def load_optimizer(
    optimizer: torch.optim.Optimizer, slots: dict[int, dict[str, Tensor]], groups: list[dict[str, Any]]
) -> None:
    """Take over what an optimiser remembers and its last learning rate, in the memory layout of what it steps.

    Its other settings are the run's, which a branch may have changed. How it steps, as one kernel or tensor by tensor,
    is its device's affair; one kernel for all refuses memory that is laid out otherwise than the weights.

    Raises:
        ValueError: there are more or fewer groups of weights, or a learning rate is no number.
    """
    fresh = optimizer.state_dict()["param_groups"]
    merged = [{**new, "lr": group.get("lr", new["lr"])} for group, new in zip(groups, fresh, strict=True)]
    if not all(_is_number(group["lr"]) for group in merged):
        raise ValueError("the learning rate of an optimiser is no number")
    optimizer.load_state_dict({"state": slots, "param_groups": merged})
    for parameter, remembered in optimizer.state.items():
        for key, value in remembered.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                remembered[key] = torch.empty_like(parameter).copy_(value)


_is_number, _is_count = check_of(float), check_of(int)


def _network_part(tensors: Mapping[str, Tensor], prefix: str = NETWORK) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def whole_sha256(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """The hash over all tensors and all metadata of a checkpoint but itself, which `claf.sha256` states."""
    plain = json.dumps(sorted(metadata.items())).encode()
    return hashlib.sha256(hash_tensors(tensors).encode() + plain).hexdigest()


def _metadata(state: TrainState, description: Description) -> dict[str, str]:
    cursor = state.cursor
    groups = {
        name: [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        for name, optimizer in state.optimizers.items()
    }
    plain = {
        **dataclasses.asdict(description),
        "step": cursor.step,
        "epoch": cursor.epoch,
        "cursor": dataclasses.asdict(cursor),
        "ledger": state.ledger.to_record(),
        "optimizers": groups,
        "loss_count": state.loss_count,
    }
    if state.average is not None:
        plain[DECAY_KEY.removeprefix("claf.")] = description.config["averaging"]["decay"]
    told = {f"claf.{key}": json.dumps(value) for key, value in plain.items() if value is not None}
    return {FORMAT_KEY: FORMAT_VERSION, **told}


def _require_finite(tensors: Mapping[str, Tensor], state: TrainState) -> None:
    for name, tensor in tensors.items():
        is_weight = name.startswith((NETWORK, TRAINED, COMPANION)) and tensor.is_floating_point()
        if is_weight and not bool(tensor.isfinite().all()):
            raise NonFiniteLoss(
                f"training diverged before step {state.cursor.step}: {name.partition('.')[2]} is not finite; go back "
                "to a checkpoint with a lower learning rate",
                tuple(state.optimizers),
            )
