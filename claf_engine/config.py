"""Every setting of a run, declared once.

The models are frozen and refuse unknown keys. The same declarations feed the TOML check, `--set`, the live-edit form
and the docs. Distances are exact fractions in pixel space ([0, 1]); see `pixels`.
"""

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from claf_engine.pixels import format_distance, parse_distance

PixelDistance = Annotated[Fraction, BeforeValidator(parse_distance), PlainSerializer(format_distance, return_type=str)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

LIVE = {"live": True}


class Settings(BaseModel):
    """Base of every group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Settings):
    """Which images, and how they are split."""

    source: str = Field("shapes", description="shapes, cifar10, or folder:PATH with train/CLASS and test/CLASS")
    seed: Count = Field(0, description="seed of the shapes generator and of the train/validation split")
    num_train: Positive | None = Field(None, description="training images after the validation split; all by default")
    num_validation: Positive = Field(1000, description="images held out of the training split to select on")
    num_test: Positive | None = Field(None, description="test images; all by default")

    @model_validator(mode="after")
    def _source_is_known(self) -> "DataConfig":
        if not re.fullmatch(r"shapes|cifar10|folder:.+", self.source):
            raise ValueError(f"unknown data source {self.source!r}; use shapes, cifar10 or folder:PATH")
        return self


class ModelConfig(Settings):
    """The network: a CIFAR-stem ResNet encoder, a projection head and linear classifiers."""

    width: Positive = Field(64, description="channels of the first stage; each later stage doubles them")
    blocks: tuple[Positive, ...] = Field((2, 2, 2, 2), description="residual blocks per stage; ResNet-18 is [2,2,2,2]")
    projection_hidden: Positive = Field(512, description="hidden units of the projection head")
    projection_dim: Positive = Field(128, description="length of the projection that the contrastive loss sees")
    mean: tuple[float, float, float] = Field((0.4914, 0.4822, 0.4465), description="channel means, inside the network")
    std: tuple[float, float, float] = Field((0.2470, 0.2435, 0.2616), description="channel deviations")

    @model_validator(mode="after")
    def _has_stages(self) -> "ModelConfig":
        if not 1 <= len(self.blocks) <= 4:
            raise ValueError("model.blocks needs one to four stages, such as [2, 2, 2, 2]")
        if min(self.std) <= 0:
            raise ValueError("model.std must be positive")
        return self


class ViewsConfig(Settings):
    """Random augmentation of one view; every image draws its own parameters."""

    crop_scale: tuple[Share, Share] = Field((0.2, 1.0), description="area range of the random resized crop")
    flip: Share = Field(0.5, description="probability of a horizontal flip")
    jitter: Share = Field(0.8, description="probability of colour jitter")
    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    grayscale: Share = Field(0.2, description="probability of dropping colour")

    @model_validator(mode="after")
    def _scale_is_ordered(self) -> "ViewsConfig":
        if not 0 < self.crop_scale[0] <= self.crop_scale[1]:
            raise ValueError("views.crop_scale must be [low, high] with 0 < low <= high")
        return self


class OptimizerConfig(Settings):
    """One optimiser and its learning-rate schedule."""

    name: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = Field(0.1, gt=0, description="base learning rate", json_schema_extra={**LIVE})
    momentum: Share = Field(0.9, description="SGD only")
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    final_fraction: Share = Field(0.0, description="cosine: last learning rate as a fraction of the base one")
    warmup_epochs: float = Field(0.0, ge=0, description="epochs of linear warm-up from zero")


class AttackConfig(Settings):
    """PGD in the Linf ball of the pixel space, from a uniformly random start."""

    epsilon: PixelDistance = Fraction(8, 255)
    step_size: PixelDistance = Fraction(2, 255)
    steps: Count = 5
    random_start: bool = True


class SupervisedConfig(Settings):
    """Ordinary cross-entropy training of encoder and classifier (method "natural")."""

    epochs: Count = 20
    view: Literal["image", "shift", "crop"] = Field(
        "shift", description="what is trained on: the image, shifted by up to 4 pixels and flipped, or a random crop"
    )
    optimizer: OptimizerConfig = OptimizerConfig(weight_decay=5e-4)


class ContrastiveConfig(Settings):
    """Stage 1: supervised contrastive learning of encoder and projection head."""

    epochs: Count = 60
    temperature: float = Field(0.07, gt=0)


class AdversarialConfig(Settings):
    """Stage 2: each epoch retrains the classifier on attacked images, then the encoder with an adversarial view."""

    epochs: Count = 140
    classifier_epochs: Count = Field(5, description="N of Algorithm 1: passes of classifier retraining per epoch")
    classifier_optimizer: OptimizerConfig = OptimizerConfig(
        name="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant"
    )
    classifier_start: Literal["continue", "reinitialise"] = Field(
        "continue", description="weights that each retraining begins with (paper, Table 5)"
    )
    source: Literal["image", "crop"] = Field(
        "image", description="what is attacked: the image as it is, or randomly cropped and flipped (released code)"
    )


class LinearEvaluationConfig(Settings):
    """Stage 3: linear classifiers on the frozen encoder.

    The natural classifier is the paper's; the adversarial one (its Table 4) goes on from the attack classifier of
    stage 2. Both are measured; the one with the higher validation robust accuracy is the run's result.
    """

    epochs: Count = Field(100, description="passes of the natural classifier")
    adversarial_epochs: Count = Field(0, description="passes of the adversarially trained classifier; 0 leaves it out")
    adversarial_steps: Positive = Field(10, description="attack steps while training it")
    optimizer: OptimizerConfig = OptimizerConfig(name="adam", learning_rate=1e-3, weight_decay=0.0)


class ProbeConfig(Settings):
    """The periodic look at natural and robust accuracy on a fixed validation subset."""

    every_epochs: Count = Field(5, description="epochs between probes; 0 never probes", json_schema_extra={**LIVE})
    num_examples: Positive = Field(256, description="validation images, the same at every probe")
    epsilons: tuple[PixelDistance, ...] = (Fraction(8, 255), Fraction(16, 255))
    step_size: PixelDistance = Fraction(2, 255)
    steps: Positive = 10
    fit_epochs: Positive = Field(10, description="passes of the quick linear fit that stage 1 is probed with")


class EvaluationConfig(Settings):
    """The test-split evaluation at the end of a run."""

    epsilons: tuple[PixelDistance, ...] = (Fraction(8, 255), Fraction(16, 255))
    step_size: PixelDistance = Fraction(2, 255)
    steps: Positive = 10
    restarts: Positive = 1
    num_examples: Positive | None = Field(None, description="test images; all by default")


class CheckpointConfig(Settings):
    """When to save and what to keep; the best one, by validation robust accuracy, is always kept."""

    every_epochs: Positive = 1
    min_seconds: float = Field(5.0, ge=0, description="epochs shorter than this are not saved one by one")
    every_steps: Positive | None = Field(None, description="also save every so many optimiser steps")
    keep_last: Annotated[int, Field(ge=2)] = Field(3, description="newest checkpoints to keep; at least 2")


class RuntimeConfig(Settings):
    """Where and how to compute."""

    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="of training; reported figures are fp32")
    threads: Positive | None = Field(None, description="CPU threads; all cores by default")
    log_every: Positive = Field(10, description="optimiser steps between logged losses")

    @model_validator(mode="after")
    def _device_is_known(self) -> "RuntimeConfig":
        if not re.fullmatch(r"auto|cpu|cuda(:(0|[1-9][0-9]?))?", self.device):
            raise ValueError(f"unknown device {self.device!r}; use auto, cpu, cuda or cuda:N")
        return self


class RunConfig(Settings):
    """All of a run."""

    method: Literal["claf", "natural"] = Field("claf", description="claf, or natural: ordinary supervised training")
    seed: Count = 0
    batch_size: Annotated[int, Field(ge=2)] = 256
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    views: ViewsConfig = ViewsConfig()
    features_optimizer: OptimizerConfig = Field(
        OptimizerConfig(), description="encoder and projection head, across stages 1 and 2"
    )
    attack: AttackConfig = Field(AttackConfig(), description="the attack of stage 2")
    contrastive: ContrastiveConfig = ContrastiveConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    linear_evaluation: LinearEvaluationConfig = LinearEvaluationConfig()
    supervised: SupervisedConfig = SupervisedConfig()
    probe: ProbeConfig = ProbeConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    runtime: RuntimeConfig = RuntimeConfig()
