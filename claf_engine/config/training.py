"""Settings of optimisers, of the training attack and of each kind of phase."""

from fractions import Fraction
from typing import Literal

from pydantic import Field, field_validator, model_validator

from claf_engine.config.base import (
    LIVE,
    BallDistance,
    Count,
    PixelDistance,
    Positive,
    Settings,
    Share,
    fitting,
    require_reach,
)
from claf_engine.terms.names import Norm, SpaceName


class OptimizerConfig(Settings):
    """One optimiser and its learning-rate schedule."""

    name: Literal["sgd", "adam", "lars"] = Field("sgd", description="lars is SGD with a trust ratio for each tensor")
    learning_rate: float = Field(0.1, gt=0, description="base learning rate", json_schema_extra={**LIVE})
    momentum: Share = Field(0.9, description="SGD and LARS only")
    betas: tuple[Share, Share] = Field(
        (0.9, 0.999), description="Adam only: what its means of gradients and of their squares keep at each step"
    )
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["cosine", "constant", "linear", "steps"] = "cosine"
    final_fraction: Share = Field(
        0.0, description="cosine and linear: last learning rate as a fraction of the base one"
    )
    milestones: tuple[Share, ...] = Field(
        (0.5, 0.75), description="steps: where the learning rate drops, as fractions of the schedule"
    )
    decay: Share = Field(0.1, description="steps: factor of each drop")
    warmup_epochs: float = Field(0.0, ge=0, description="epochs of linear warm-up from zero")


class AveragingConfig(Settings):
    """The running average of the weights, which is measured, chosen by, saved and exported in their place."""

    decay: float = Field(
        0.0, ge=0, lt=1, description="share of the average that a step keeps, such as 0.999; 0 takes no average"
    )


class WeightPerturbationConfig(Settings):
    """Adversarial weight perturbation (Wu et al. 2020) in whatever trains the encoder; off by default."""

    gamma: float = Field(
        0.0, ge=0, lt=1, description="how far weights are moved, as a share of their lengths, such as 0.005; 0 is off"
    )
    after: Share = Field(0.5, description="share of each phase that goes before without it")


class AttackConfig(Settings):
    """The attack of training: PGD from a random start."""

    norm: Norm = Field("linf", description="linf; or l2 or l1: epsilon and step size are then lengths in that norm")
    epsilon: BallDistance = Fraction(8, 255)
    step_size: BallDistance = Fraction(2, 255)
    steps: Count = 5
    random_start: bool = True
    start: Literal["auto", "uniform", "bernoulli", "gaussian"] = Field(
        "auto",
        description="where a random start lies: anywhere in the ball, half a radius away with random signs (linf), or "
        "a thousandth of Gaussian noise away; auto is gaussian in trades and uniform elsewhere",
    )
    epsilon_ramp: Share = Field(
        0.0,
        description="share of each phase over which epsilon and step size grow linearly from 0; 0 begins with all of "
        "them",
    )
    space: SpaceName = Field(
        "pixel", description="pixel, or released-code: normalised values clamped to [0, 1], which is no epsilon-ball"
    )
    warm_start: bool = Field(
        False,
        description="stage 2 begins an attack where the last one on its image ended (changes the method)",
    )

    _fits = field_validator("epsilon", "step_size")(fitting)

    @model_validator(mode="after")
    def _reaches(self) -> "AttackConfig":
        require_reach(self.norm, (self.epsilon,), self.step_size, self.steps)
        return self

    @model_validator(mode="after")
    def _can_start_warm(self) -> "AttackConfig":
        if self.warm_start and (self.norm != "linf" or self.space != "pixel"):
            raise ValueError("attack.warm_start works in norm linf and space pixel alone; set it to false")
        return self

    @model_validator(mode="after")
    def _can_start_so(self) -> "AttackConfig":
        if self.start != "auto" and (not self.random_start or self.warm_start):
            other = "warm_start" if self.warm_start else "random_start"
            raise ValueError(f"attack.start = {self.start!r} contradicts attack.{other}; leave one of the two out")
        if self.start == "bernoulli" and self.norm != "linf":
            raise ValueError("attack.start = 'bernoulli' works in norm linf alone; use uniform")
        return self


class SupervisedConfig(Settings):
    """Training of encoder and classifier together: natural, at, fgsm, trades, alp, union and fine-tuning."""

    epochs: Count = 20
    view: Literal["image", "shift", "crop"] = Field(
        "shift", description="what is trained on: the image, shifted by up to 4 pixels and flipped, or a random crop"
    )
    attack_batch_norm: Literal["running", "batch"] = Field(
        "running", description="statistics that BatchNorm uses while an attack is crafted"
    )
    optimizer: OptimizerConfig = OptimizerConfig(weight_decay=5e-4)


class ObjectiveConfig(Settings):
    """What the losses of natural, at, fgsm, trades, alp and fine-tuning may have besides; off by default.

    Ramped weights grow linearly from zero, over the epochs of the phase.
    """

    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target that cross-entropies spread over all classes"
    )
    margin: float = Field(
        0.0,
        ge=0,
        lt=2,
        description="model.logits = cosine: what cross-entropies take off the cosine of the true class (HE)",
    )
    cross_entropy: Literal["attacked", "natural"] = Field(
        "attacked",
        description="at, fgsm and fine-tuning: images whose cross-entropy is minimised; natural ones need a term below",
    )
    nuclear_weight: float = Field(
        0.0,
        ge=0,
        description="ramped weight of the nuclear norm of the batch's logit differences, which the attack climbs too "
        "(NuAT); not in natural",
    )
    contrast_weight: float = Field(
        0.0,
        ge=0,
        description="ramped weight of a supervised contrast between projections of attacked images and those that the "
        "averaged network gives to natural ones; not in natural",
    )
    contrast_temperature: float = Field(0.3, gt=0, description="of that contrast")
    rotation_weight: float = Field(
        0.0,
        ge=0,
        description="weight of the loss of a head that tells by how many quarters attacked images were turned; not in "
        "natural",
    )
    rotation_in_attack: bool = Field(False, description="whether the attack climbs that loss too, times its weight")

    @model_validator(mode="after")
    def _uses_its_attack(self) -> "ObjectiveConfig":
        if self.cross_entropy == "natural" and not (self.nuclear_weight or self.contrast_weight):
            raise ValueError(
                "objective.cross_entropy = 'natural' leaves attacked images without a loss; set "
                "objective.nuclear_weight or objective.contrast_weight above 0"
            )
        return self

    @model_validator(mode="after")
    def _has_a_rotation_to_attack(self) -> "ObjectiveConfig":
        if self.rotation_in_attack and not self.rotation_weight:
            raise ValueError("objective.rotation_in_attack needs objective.rotation_weight above 0, such as 0.5")
        return self


class FgsmConfig(Settings):
    """Fast adversarial training (method "fgsm") and the watch over its catastrophic overfitting."""

    step_size: PixelDistance = Field(Fraction(10, 255), description="length of its one step, from a random start")
    monitor_steps: Positive = Field(10, description="steps of the PGD that the one-step attack is compared with")
    collapse_drop: Share = Field(
        0.2, description="collapsed: accuracy under that PGD lies this far below its best and below the one step's"
    )
    on_collapse: Literal["stop", "warn"] = Field("stop", description="end the phase, or only say so")


class TradesConfig(Settings):
    """TRADES (Zhang et al. 2019)."""

    beta: float = Field(6.0, ge=0, description="weight of the robustness term, 1/lambda of the paper")
    weighting: Literal["none", "true-class"] = Field(
        "none", description="true-class: times 1 - p(true class) of the attacked image, more where it breaks (ARoW)"
    )


class AlpConfig(Settings):
    """Adversarial logit pairing (Kannan et al. 2018)."""

    weight: float = Field(0.5, ge=0, description="lambda: weight of the distance between natural and attacked logits")


class RoclConfig(Settings):
    """Robust contrastive learning without labels (Kim et al. 2020), and the classifier on top of it."""

    epochs: Count = 100
    temperature: float = Field(0.5, gt=0)
    attack_weight: float = Field(
        1 / 256, ge=0, description="weight of the extra term between the adversarial view and its target"
    )
    head: Literal["linear", "robust-linear", "fine-tune"] = Field(
        "fine-tune",
        description="linear evaluation, the same on attacked images, or adversarial training of everything (RoCL-AT)",
    )


class ContrastiveConfig(Settings):
    """Stage 1: supervised contrastive learning of encoder and projection head."""

    epochs: Count = 60
    temperature: float = Field(0.07, gt=0)
    positives: Literal["class", "views"] = Field(
        "class", description="what an anchor is pulled to: its class, or its image's other views (SimCLR); both stages"
    )


class AdversarialConfig(Settings):
    """Stage 2: each epoch retrains the classifier on attacked images, then the encoder with an adversarial view."""

    epochs: Count = 140
    classifier_epochs: Count = Field(5, description="N of Algorithm 1: passes of classifier retraining per epoch")
    classifier_images: Literal["adversarial", "natural"] = Field(
        "adversarial", description="what the classifier is retrained on (paper, Table 2)"
    )
    classifier_optimizer: OptimizerConfig = OptimizerConfig(
        name="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant"
    )
    classifier_start: Literal["continue", "reinitialise"] = Field(
        "continue", description="weights that each retraining begins with (paper, Table 5)"
    )
    source: Literal["image", "crop"] = Field(
        "image", description="what is attacked: the image as it is, or randomly cropped and flipped (released code)"
    )
    classifier_refresh: Literal["exact", "replay"] = Field(
        "exact",
        description="craft images for every retraining pass, or replay the features of one pass (changes the method)",
    )
    replay_passes: Positive = Field(
        5, description="replay: retraining passes over the features of one crafting, the pass that crafts included"
    )
    classifier_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the batches that each retraining pass takes, drawn anew (below 1 changes the method)",
    )


class LinearEvaluationConfig(Settings):
    """Stage 3: linear classifiers on the frozen encoder.

    The natural classifier is the paper's; the adversarial one is its Table 4. Both are measured; the one with the
    higher validation robust accuracy is the run's result.
    """

    epochs: Count = Field(100, description="passes of the natural classifier")
    start: Literal["scratch", "attack"] = Field(
        "scratch", description="weights it begins with: fresh ones, or those of the attack classifier (paper, Table 6)"
    )
    adversarial_epochs: Count = Field(0, description="passes of the adversarially trained classifier; 0 leaves it out")
    adversarial_steps: Positive = Field(10, description="attack steps while training it")
    adversarial_start: Literal["scratch", "attack"] = Field("attack", description="weights it begins with")
    optimizer: OptimizerConfig = OptimizerConfig(name="adam", learning_rate=1e-3, weight_decay=0.0)
