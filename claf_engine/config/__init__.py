"""Every setting of a run, declared once.

The models are frozen and refuse unknown keys. The same declarations feed the TOML check, `--set`, the sentences about
wrong values and `claf-tui config show`. Distances are exact fractions in pixel space ([0, 1]); see `terms.pixels`.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from claf_engine.config.acl import AclConfig
from claf_engine.config.base import Count, PixelDistance, Positive, Settings, Share
from claf_engine.config.defense_gan import DefenseGanConfig
from claf_engine.config.known import require_architecture, require_source
from claf_engine.config.measuring import EvaluationConfig, ProbeConfig
from claf_engine.config.pairing import ClpConfig, TwoEncodersConfig
from claf_engine.config.pretext import PretextConfig
from claf_engine.config.rectifier import RectifierConfig
from claf_engine.config.registry import DEFAULT_ARCHITECTURE, METHODS, library_of
from claf_engine.config.sources import MAX_SIDE, MIN_SIDE, file_of
from claf_engine.config.training import (
    AdversarialConfig,
    AlpConfig,
    AttackConfig,
    AveragingConfig,
    ContrastiveConfig,
    FgsmConfig,
    LinearEvaluationConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RoclConfig,
    SupervisedConfig,
    TradesConfig,
    WeightPerturbationConfig,
)
from claf_engine.config.union import BallConfig, UnionConfig

__all__ = [
    "AclConfig",
    "AdversarialConfig",
    "AlpConfig",
    "AttackConfig",
    "AveragingConfig",
    "BallConfig",
    "CheckpointConfig",
    "ClpConfig",
    "ContrastiveConfig",
    "DataConfig",
    "DefenseGanConfig",
    "EvaluationConfig",
    "FgsmConfig",
    "LinearEvaluationConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PixelDistance",
    "PretextConfig",
    "ProbeConfig",
    "RectifierConfig",
    "RoclConfig",
    "RunConfig",
    "RuntimeConfig",
    "Settings",
    "SupervisedConfig",
    "TradesConfig",
    "TwoEncodersConfig",
    "UnionConfig",
    "ViewsConfig",
    "WeightPerturbationConfig",
]


class DataConfig(Settings):
    """Which images, and how they are split."""

    source: Annotated[str, AfterValidator(require_source)] = Field(
        "shapes",
        description="shapes, cifar10, folder:PATH with train/CLASS and test/CLASS, torchvision:NAME, hf:PATH, "
        "parquet:PATH, wds:PATH, FILE.py:NAME of a function, or NAME:ARGUMENT of a plugin",
    )
    image_size: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)] | None = Field(
        None,
        description="cut images to a square from their middle and resize them to this side; by default they have the "
        "size that most of them have",
    )
    channels: Literal[1, 3] | None = Field(
        None, description="1 gray, 3 colour; by default as the model has them, or else as the images are"
    )
    seed: Count = Field(0, description="seed of the shapes generator and of the train/validation split")
    validation: Literal["held-out", "own"] = Field(
        "held-out",
        description="validation images: held out of the training images, or the source's own where it has some beside "
        "its test images",
    )
    image_column: str | None = Field(None, description="hf and parquet: column of the images, where it is not plain")
    label_column: str | None = Field(None, description="hf and parquet: column of the labels, where it is not plain")
    download: bool = Field(True, description="cifar10 and torchvision: whether what is not there may be downloaded")
    resident: Literal["auto", "always", "never"] = Field(
        "auto",
        description="keep all images decoded where the network is; never reads them as they are needed, with the same "
        "results; auto does so where they would fill more than half of the free memory",
    )
    workers: Count = Field(2, description="processes that read images ahead, where they are read as they are needed")
    at_most: bool = Field(
        False, description="take fewer images than the sizes below say where a source has fewer, instead of refusing it"
    )
    num_train: Positive | None = Field(None, description="training images after the validation split; all by default")
    num_validation: Positive = Field(1000, description="images held out of the training split to select on")
    num_test: Positive | None = Field(None, description="test images; all by default")


class ModelConfig(Settings):
    """The network: an encoder, ours a residual network, a projection head and linear classifiers."""

    architecture: Annotated[str, AfterValidator(require_architecture)] = Field(
        DEFAULT_ARCHITECTURE,
        description="of the encoder: resnet, resnet18, resnet34, resnet50, preact-resnet18, wrn-28-10, wrn-34-10, "
        "torchvision:NAME, timm:NAME, or the name that a plugin registers",
    )
    stem: Literal["cifar", "imagenet"] = Field(
        "cifar",
        description="of ours: a 3x3 convolution; or a 7x7 one of stride 2 and pooling, for images of 224 pixels",
    )
    width: Positive = Field(
        64, description="of ours: channels of the first stage; 64 is the published network, others scale it"
    )
    blocks: tuple[Positive, ...] = Field(
        (2, 2, 2, 2), description="of resnet: residual blocks per stage; the others have theirs"
    )
    activation: Literal["relu", "silu", "softplus"] = Field(
        "relu", description="of the encoder; silu and softplus (beta 10) are smooth, which makes attacks stronger"
    )
    weights: str | None = Field(
        None, description="file of weights that training of a library's or a file's model begins with"
    )
    logits: Literal["linear", "cosine"] = Field(
        "linear",
        description="of the classifiers: linear in the features, or logit_scale times the cosines between the features "
        "and a prototype of each class (HE)",
    )
    logit_scale: float = Field(15.0, gt=0, description="cosine: of the logits, which lie between minus and plus this")
    projection_hidden: Positive = Field(512, description="hidden units of the projection head")
    projection_dim: Positive = Field(128, description="length of the projection that the contrastive loss sees")
    mean: tuple[float, ...] = Field(
        (0.4914, 0.4822, 0.4465),
        description="channel means, inside the network: 1 for gray or 3 for colour; [] measures them on the training "
        "images, as is done for all sources but shapes and cifar10 unless they are given",
    )
    std: tuple[float, ...] = Field((0.2470, 0.2435, 0.2616), description="channel deviations, given or measured alike")

    @property
    def is_normalisation_chosen(self) -> bool:
        """Whether mean or deviation is another than by default, and is not to be measured."""
        defaults = type(self).model_fields
        return any(getattr(self, name) not in (defaults[name].default, ()) for name in ("mean", "std"))

    @model_validator(mode="after")
    def _has_stages(self) -> "ModelConfig":
        if not 1 <= len(self.blocks) <= 4:
            raise ValueError("model.blocks needs one to four stages, such as [2, 2, 2, 2]")
        return self

    @field_validator("mean", "std")
    @classmethod
    def _is_of_channels(cls, values: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        means = info.data.get("mean", values)
        if len(values) not in (0, 1, 3) or len(values) != len(means):
            beside = f" beside a model.mean of {len(means)}" if len(values) != len(means) else ""
            raise ValueError(
                f"model.{info.field_name} has {len(values)} values{beside}; give both one for gray images or three for "
                "colour, or [] to have them measured"
            )
        if info.field_name == "std" and min(values, default=1) <= 0:
            raise ValueError("model.std must be positive")
        return values

    @property
    def num_channels(self) -> int:
        """Channels of the images: 1 or 3; 0 where they and their statistics are yet to be measured."""
        return len(self.mean)

    @model_validator(mode="after")
    def _has_features_for_its_cosines(self) -> "ModelConfig":
        if self.logits == "cosine" and (self.weights is not None or file_of(self.architecture)):
            raise ValueError(
                "model.logits = 'cosine' goes with new classifiers, and not with those of model.weights or of a "
                "FILE.py:FUNCTION; leave it 'linear'"
            )
        return self

    @model_validator(mode="after")
    def _has_a_model_for_its_weights(self) -> "ModelConfig":
        if self.weights is not None and not (library_of(self.architecture) or file_of(self.architecture)):
            raise ValueError(
                f"model.weights goes with --model FILE.py:FUNCTION, torchvision:NAME or timm:NAME, and not with "
                f"architecture {self.architecture!r}; `claf-tui checkpoint import` takes over those of networks of ours"
            )
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


class CheckpointConfig(Settings):
    """When to save and what to keep; the best one, by validation robust accuracy, is always kept."""

    every_epochs: Positive = 1
    min_seconds: float = Field(5.0, ge=0, description="epochs shorter than this are not saved one by one")
    every_steps: Positive | None = Field(None, description="also save every so many optimiser steps")
    keep_last: Annotated[int, Field(ge=2)] = Field(3, description="newest checkpoints to keep; at least 2")


class RuntimeConfig(Settings):
    """Where and how to compute."""

    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="of training; auto measures which is faster; reported figures are fp32"
    )
    layout: Literal["auto", "channels_last", "contiguous"] = Field(
        "auto", description="of images and weights in memory; auto measures which is faster"
    )
    capture: bool = Field(
        True, description="replay the passes of training attacks as CUDA graphs, where there is a GPU"
    )
    keep_freed_memory: bool = Field(
        True, description="on a CPU, keep freed memory for the next step instead of giving it back (glibc)"
    )
    micro_batch: Positive | None = Field(
        None,
        description="images that training holds activations of at once; loss and BatchNorm stay those of the whole "
        "batch, and gradients differ by rounding alone; all at once by default",
    )
    recompute: bool = Field(
        False,
        description="hold only what goes in and out of each block of the encoder, and compute the rest again in the "
        "backward pass: the same bits in half the memory",
    )
    threads: Positive | None = Field(
        None,
        description="CPU threads; by default as many as cores are free, which a run looks at again every few seconds: "
        "results of another number differ in the last bits, so set it where a run is to be repeated bit by bit",
    )
    log_every: Positive = Field(10, description="optimiser steps between logged losses")

    @model_validator(mode="after")
    def _device_is_known(self) -> "RuntimeConfig":
        if self.device.partition(":")[0] == "mps":
            raise ValueError(f"no device {self.device!r}: whether it computes what a CPU does was never tried; use cpu")
        if not re.fullmatch(r"auto|cpu|cuda(:(0|[1-9][0-9]?))?", self.device):
            raise ValueError(f"unknown device {self.device!r}; use auto, cpu, cuda or cuda:N")
        return self


class RunConfig(Settings):
    """All of a run."""

    method: Annotated[str, AfterValidator(METHODS.require)] = Field(
        "claf",
        description="one of those that claf-tui config methods lists, or the name that a plugin registers",
    )
    seed: Count = 0
    batch_size: Annotated[int, Field(ge=2)] = 256
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    views: ViewsConfig = ViewsConfig()
    features_optimizer: OptimizerConfig = Field(
        OptimizerConfig(), description="encoder and projection head, in contrastive phases"
    )
    averaging: AveragingConfig = Field(
        AveragingConfig(), description="the running average of the weights, of any method"
    )
    weight_perturbation: WeightPerturbationConfig = Field(WeightPerturbationConfig(), description="AWP, of any method")
    attack: AttackConfig = Field(AttackConfig(), description="the attack of training")
    contrastive: ContrastiveConfig = ContrastiveConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    linear_evaluation: LinearEvaluationConfig = LinearEvaluationConfig()
    supervised: SupervisedConfig = SupervisedConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    fgsm: FgsmConfig = FgsmConfig()
    trades: TradesConfig = TradesConfig()
    alp: AlpConfig = AlpConfig()
    rocl: RoclConfig = RoclConfig()
    acl: AclConfig = AclConfig()
    clp: ClpConfig = ClpConfig()
    two_encoders: TwoEncodersConfig = TwoEncodersConfig()
    probe: ProbeConfig = ProbeConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    rectifier: RectifierConfig = RectifierConfig()
    defense_gan: DefenseGanConfig = DefenseGanConfig()
    pretext: PretextConfig = PretextConfig()
    union: UnionConfig = UnionConfig()

    @model_validator(mode="after")
    def _has_cosines_for_its_margin(self) -> "RunConfig":
        if self.objective.margin and self.model.logits != "cosine":
            raise ValueError("objective.margin needs model.logits = 'cosine'; set that, or the margin to 0")
        return self

    @model_validator(mode="after")
    def _has_keys_for_its_contrast(self) -> "RunConfig":
        if self.objective.contrast_weight and not self.averaging.decay:
            raise ValueError(
                "objective.contrast_weight needs averaging.decay above 0, such as 0.999: its keys are the averaged "
                "network's"
            )
        return self

    @property
    def images(self) -> DataConfig:
        """The images with the channels that the model takes, where that is known."""
        channels = self.data.channels or self.model.num_channels or None
        return self.data.model_copy(update={"channels": channels})
