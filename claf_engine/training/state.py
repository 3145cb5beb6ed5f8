"""Everything that training changes, and therefore everything that a checkpoint holds."""

from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from itertools import chain
from operator import attrgetter
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn

from claf_engine.compute.batch_norm import synchronise_batch_norms
from claf_engine.compute.device import Compute
from claf_engine.compute.seeding import INIT, training_generators
from claf_engine.config import OptimizerConfig, RunConfig
from claf_engine.events.plain import check_of
from claf_engine.models.library import LibraryModel
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL, Network, build_network
from claf_engine.models.probing import probe_images, require_output
from claf_engine.models.written import WrittenModel
from claf_engine.training.optimizers import build_optimizer
from claf_engine.training.partner import PARTNER
from claf_engine.training.soundness import require_sound

LOWER = 10.0
"""How many times lower the learning rate is that is proposed to a run that diverged."""
FEATURES = "features"
"""Optimisers are named after what they train: this one encoder and projection head, those named after a classifier that
classifier, and those of `joint_optimizer` encoder and classifier together."""


@dataclass
class Cursor:
    """Where the run is: finished phases, epochs, parts of the epoch, sweeps of the part, batches of the sweep.

    Attributes:
        step: optimiser steps of the whole run.
        feature_steps: those of encoder and projection head, which share one schedule across stages 1 and 2.
    """

    phase: int = 0
    epoch: int = 0
    part: int = 0
    sweep: int = 0
    batch: int = 0
    step: int = 0
    feature_steps: int = 0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Cursor":
        """The position of a checkpoint.

        Raises:
            ValueError: a value is no count.
            TypeError: it has a key that is none of ours.
        """
        if not all(_is_count(value) and value >= 0 for value in _items(record).values()):
            raise ValueError("the position of a run is no counts")
        return cls(**record)

    @property
    def has_begun_phase(self) -> bool:
        """Whether a step of the phase that is going on was taken."""
        return bool(self.epoch or self.part or self.sweep or self.batch)

    def end_sweep(self) -> None:
        """Move to the next pass over the images."""
        self.sweep, self.batch = self.sweep + 1, 0

    def end_part(self) -> None:
        """Move to the next part of the epoch."""
        self.part, self.sweep, self.batch = self.part + 1, 0, 0

    def end_epoch(self) -> None:
        """Move to the next epoch."""
        self.epoch, self.part, self.sweep, self.batch = self.epoch + 1, 0, 0, 0

    def end_phase(self) -> None:
        """Move to the next phase."""
        self.phase, self.epoch, self.part, self.sweep, self.batch = self.phase + 1, 0, 0, 0, 0


@dataclass
class Ledger:
    """Plain numbers that a resumed run needs.

    Attributes:
        elapsed: seconds of training so far, without pauses.
        phase_elapsed: the same for each phase.
        epoch_elapsed: the same for the current epoch.
        done: units of work done, by kind (see `progress`).
        is_probe_owed: a stop came into the probe at the end of the last epoch, before it was done.
        learning_rate_factor: live edit of the current phase's learning rate, relative to its schedule.
        edits: settings that were edited while the run went on, as plain values (see `live_edits`).
        trail: every live edit in words, by its step and name: {"120 learning_rate": "0.1 to 0.05"}.
        accuracy_before_retraining: adversarial accuracy of the attack classifier when its current retraining began.
        accuracy_after_retraining: the same when its last retraining ended.
        accuracy_after_encoder: the same after the encoder's next epoch.
        best_monitored: highest PGD accuracy so far of fast adversarial training.
        has_collapsed: fast adversarial training overfitted, and its phase ends early.
        best_probed: highest PGD accuracy of any probe of this phase, where it trains on attacked images.
        alerts: those that stand, by name: when each began and its reason, {"step": 120, "text": "..."}.
        best_robust: highest robust accuracy of any probe, by classifier, norm and radius.
        validation: the latest probe of each classifier in this state: {"natural": {"natural": .9, "robust": .5}}.
        probe: the latest probe of any state, for the list of runs: step, classifier, natural and robust accuracies.
        averaged: steps that the running average of what each optimiser steps has seen, by the optimiser's name.
    """

    elapsed: float = 0.0
    phase_elapsed: dict[str, float] = field(default_factory=dict)
    epoch_elapsed: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    is_probe_owed: bool = False
    learning_rate_factor: float = 1.0
    edits: dict[str, Any] = field(default_factory=dict)
    trail: dict[str, str] = field(default_factory=dict)
    accuracy_before_retraining: float | None = field(default=None, metadata={"key": "before"})
    accuracy_after_retraining: float | None = field(default=None, metadata={"key": "fitted"})
    accuracy_after_encoder: float | None = field(default=None, metadata={"key": "moved"})
    best_monitored: float | None = None
    has_collapsed: bool = False
    best_probed: float | None = None
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    best_robust: dict[str, float] = field(default_factory=dict)
    validation: dict[str, dict[str, float]] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    averaged: dict[str, int] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """The ledger as a JSON object, under the keys that checkpoints have."""
        plain = asdict(self)
        return {_key(spec): plain[spec.name] for spec in fields(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Ledger":
        """The ledger of a checkpoint.

        Raises:
            ValueError: a value is of another type than its field.
            TypeError: it has a key that is none of ours.
        """
        names = {_key(spec): spec.name for spec in fields(cls)}
        values = {names.get(key, key): value for key, value in _items(record).items()}
        # Of earlier code, which let one setting be edited.
        every = values.pop("probe_every", None)
        if every is not None:
            values["edits"] = {"probe.every_epochs": every, **_items(values.get("edits", {}))}
        hints = get_type_hints(cls)
        wrong = [name for name, value in values.items() if name in hints and not check_of(hints[name])(value)]
        if wrong or not all(map(_is_alert, values.get("alerts", {}).values())):
            raise ValueError(f"{', '.join(wrong) or 'alerts'} of its ledger: of another type")
        return cls(**values)


_is_count = check_of(int)


def _items(record: Any) -> Mapping[str, Any]:
    """A record of a checkpoint, which anybody may have written.

    Raises:
        TypeError: it is no object.
    """
    if not isinstance(record, Mapping):
        raise TypeError(f"{type(record).__name__} where an object belongs")
    return record


def _is_alert(alert: Mapping[str, Any]) -> bool:
    return _is_count(alert.get("step")) and isinstance(alert.get("text"), str)


def _key(spec: Field[Any]) -> str:
    return str(spec.metadata.get("key", spec.name))


@dataclass
class TrainState:
    """Network, optimisers, generators and position: what phases change is what is saved.

    Attributes:
        order: (N,) image order of the current sweep, on the CPU; empty before the first.
        loss_sum: 0-d fp64 sum of the losses of the current part, on the device.
        loss_count: how many losses it sums.
        features: (N, D) fp32 features of attacked training images that retraining is yet to replay, on the device;
            zero where no image was attacked; None while there are none.
        perturbations: (N, C, H, W) int8, where the next attack on each training image begins, in 127ths of epsilon, on
            the device; None where attacks do not start warm.
        average: the running average of the network, on the device; None where none is taken, and before the first step.
        companions: networks that are trained beside it, by name, on the device (see `companions`).
    """

    network: Network
    generators: dict[str, torch.Generator]
    optimizers: dict[str, torch.optim.Optimizer]
    order: Tensor
    loss_sum: Tensor
    loss_count: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    ledger: Ledger = field(default_factory=Ledger)
    features: Tensor | None = None
    perturbations: Tensor | None = None
    average: Network | None = None
    companions: dict[str, nn.Module] = field(default_factory=dict)

    @property
    def measured(self) -> Network:
        """The network that is probed, chosen by, tested and saved: the average, or else the one that is trained."""
        return self.network if self.average is None else self.average

    def start_losses(self) -> None:
        """Begin a new mean of losses."""
        self.loss_sum.zero_()
        self.loss_count = 0

    def mean_loss(self) -> float:
        """Mean loss of the current part; reads from the device."""
        return float(self.loss_sum) / max(1, self.loss_count)


def begin(
    config: RunConfig, num_classes: int, compute: Compute, image_size: tuple[int, int] | None = None
) -> TrainState:
    """The state of a run that has not trained yet, on its device.

    Args:
        config: of the run.
        num_classes: of its data.
        compute: its device.
        image_size: height and width, see `build_network`.

    Raises:
        ConfigError: the model cannot be trained in this layout, see `require_sound`, or built, see `build_network`.
        DataError: see `build_network`.
    """
    generators = training_generators(config.seed, compute.device)
    network = build_network(config.model, num_classes, generators[INIT], image_size)
    require_sound(network, compute)
    compute.place(network)
    if image_size is not None and isinstance(network.encoder, LibraryModel | WrittenModel):
        images = probe_images((len(config.model.mean), *image_size)).to(compute.device)
        require_output(network.encoder, compute.arrange(images), network.encoder.name)
    in_micro_batches = compute.micro_batch is not None
    synchronise_batch_norms(network, compute.world, compute.device, in_micro_batches=in_micro_batches)
    return TrainState(
        network=network,
        generators=generators,
        optimizers={},
        order=torch.empty(0, dtype=torch.int64),
        loss_sum=torch.zeros((), dtype=torch.float64, device=compute.device),
    )


def joint_optimizer(classifier: str, *, with_head: bool = False, companion: str = "") -> str:
    """Name of the optimiser that trains the encoder together with a classifier, and perhaps head and a companion."""
    name = f"encoder+head+{classifier}" if with_head else f"encoder+{classifier}"
    return f"{name}+{companion}" if companion else name


OPTIMIZER_SETTINGS = {
    FEATURES: "features_optimizer",
    joint_optimizer(NATURAL): "supervised.optimizer",
    joint_optimizer(ADVERSARIAL): "supervised.optimizer",
    joint_optimizer(ADVERSARIAL, with_head=True): "supervised.optimizer",
    joint_optimizer(NATURAL, with_head=True, companion=PARTNER): "supervised.optimizer",
    joint_optimizer(ADVERSARIAL, with_head=True, companion=PARTNER): "supervised.optimizer",
    ATTACK_CLASSIFIER: "adversarial.classifier_optimizer",
    joint_optimizer(ADVERSARIAL, companion="rotation"): "supervised.optimizer",
    joint_optimizer(ADVERSARIAL, with_head=True, companion="rotation"): "supervised.optimizer",
    NATURAL: "linear_evaluation.optimizer",
    ADVERSARIAL: "linear_evaluation.optimizer",
    "encoder+head+other-norms": "features_optimizer",
    "rectifier": "rectifier.optimizer",
    "detector": "rectifier.detector_optimizer",
    "critic": "defense_gan.optimizer",
    "generator": "defense_gan.optimizer",
    "encoder+rotation": "features_optimizer",
    "encoder+jigsaw": "features_optimizer",
    "encoder+selfie": "features_optimizer",
}
"""Where in the settings each optimiser has its own."""


def optimizer_config(config: RunConfig, name: str) -> OptimizerConfig:
    """The settings of one of the run's optimisers."""
    found: OptimizerConfig = attrgetter(OPTIMIZER_SETTINGS[name])(config)
    return found


def lower_learning_rates(config: RunConfig, optimizers: Iterable[str]) -> tuple[str, ...]:
    """Settings to try after these optimisers have diverged, such as "supervised.optimizer.learning_rate=0.01"."""
    places = dict.fromkeys(OPTIMIZER_SETTINGS[name] for name in optimizers)
    rates = {place: attrgetter(f"{place}.learning_rate")(config) / LOWER for place in places}
    return tuple(f"{place}.learning_rate={rate:.6g}" for place, rate in rates.items())


def make_optimizer(config: RunConfig, state: TrainState, name: str) -> torch.optim.Optimizer:
    """A fresh optimiser for the parts of network and companions that `name` stands for."""
    parts = {**network_parts(state.network), **state.companions}
    modules = [parts[part] for part in optimizer_parts(name)]
    return build_optimizer(optimizer_config(config, name), chain.from_iterable(map(nn.Module.parameters, modules)))


def optimizer_parts(name: str) -> tuple[str, ...]:
    """The names of what the optimiser of this name steps."""
    return ("encoder", "head") if name == FEATURES else tuple(name.split("+"))


def network_parts(network: Network) -> dict[str, nn.Module]:
    """The parts of a network by the names that optimisers are named after."""
    return {"encoder": network.encoder, "head": network.projection_head, **network.classifiers}


def trained_modules(network: Network, name: str) -> tuple[nn.Module, ...]:
    """The parts of a network that the optimiser of this name steps, without companions."""
    parts = network_parts(network)
    return tuple(parts[part] for part in optimizer_parts(name) if part in parts)
