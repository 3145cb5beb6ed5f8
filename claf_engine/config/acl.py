"""Settings of adversarial contrastive pretraining, and which BatchNorm of its two is measured."""

from typing import Literal

from pydantic import Field, model_validator

from claf_engine.config.base import Count, Settings

Statistics = Literal["adversarial", "natural"]
VIEWS_OF: dict[Statistics, str] = {"adversarial": "attacked", "natural": "natural"}
"""What the views are called that a BatchNorm has seen."""


class AclConfig(Settings):
    """Adversarial contrastive pretraining (Jiang et al. 2020), and the classifier on top of it."""

    epochs: Count = 100
    temperature: float = Field(0.5, gt=0)
    streams: Literal["standard", "adversarial", "dual"] = Field(
        "dual",
        description="views that are contrasted: natural ones (SimCLR), attacked ones, or both with their own BatchNorm",
    )
    dual_weight: float = Field(
        1.0, ge=0, description="dual: how much the loss of attacked views counts in the mean; that of natural ones is 1"
    )
    measured_statistics: Statistics = Field(
        "adversarial",
        description="dual: the BatchNorm that the head is trained on, and the network is measured with: that of "
        "attacked views (adversarial) or of natural ones",
    )
    head: Literal["linear", "robust-linear", "fine-tune"] = Field(
        "fine-tune", description="linear evaluation, the same on attacked images, or adversarial training of everything"
    )

    @model_validator(mode="after")
    def _has_the_statistics_it_measures(self) -> "AclConfig":
        if self.streams != "dual" and self.measured_statistics == "natural":
            raise ValueError(
                "acl.measured_statistics = 'natural' chooses between the two of acl.streams = 'dual'; leave it out"
            )
        return self

    @property
    def measured(self) -> Statistics:
        """What the BatchNorm has seen that the head is trained on."""
        return "natural" if self.streams == "standard" else self.measured_statistics


def batch_norm_notices(method: str, config: AclConfig) -> tuple[str, ...]:
    """What a reader of figures must know of the BatchNorm that they were measured with.

    Args:
        method: of the run; only one of "acl" has a choice.
        config: its settings of pretraining.
    """
    if method != "acl":
        return ()
    seen = VIEWS_OF[config.measured]
    then = "which fine-tuning trains further" if config.head == "fine-tune" else "and stands still under the classifier"
    if config.streams != "dual":
        return (f"the BatchNorm that measures has seen {seen} views in pretraining, {then}",)
    other = VIEWS_OF["natural" if config.measured == "adversarial" else "adversarial"]
    return (
        f"the BatchNorm that measures is that of {seen} views (acl.measured_statistics), {then}; that of {other} views "
        "serves pretraining alone",
    )
