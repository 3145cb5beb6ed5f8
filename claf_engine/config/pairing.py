"""Settings of clean logit pairing and of training with two encoders."""

from typing import Literal

from pydantic import Field, model_validator

from claf_engine.config.base import Settings


class ClpConfig(Settings):
    """Clean logit pairing (Kannan et al. 2018) and logit squeezing; no image is attacked."""

    weight: float = Field(0.5, ge=0, description="of the distance between the logits of random pairs of natural images")
    squeezing: float = Field(0.0, ge=0, description="weight of the squared logits themselves (logit squeezing)")
    noise: float = Field(
        0.5, ge=0, le=1, description="deviation of Gaussian noise on what is trained on; pixels stay in [0, 1]"
    )


class TwoEncodersConfig(Settings):
    """Two encoders, one trained on natural and one on attacked images, and the contrast between their projections."""

    training: Literal["joint", "separate"] = Field(
        "joint",
        description="joint: both at once; separate: the clean encoder first, then, from its weights, the attacked one; "
        "each for supervised.epochs",
    )
    measured: Literal["attacked", "clean"] = Field(
        "attacked", description="the encoder that is probed, chosen by, tested and exported; clean needs joint"
    )
    weight: float = Field(1.0, ge=0, description="of the contrast between the projections of the two")
    positives: Literal["image", "class"] = Field(
        "image", description="what a projection is pulled to: that of the same image by the other encoder, or its class"
    )
    temperature: float = Field(0.5, gt=0, description="of that contrast")

    @model_validator(mode="after")
    def _measures_what_the_contrast_moves(self) -> "TwoEncodersConfig":
        if self.training == "separate" and self.measured == "clean":
            raise ValueError(
                "two_encoders.measured = 'clean' with training = 'separate' is natural training, because nothing of "
                "the attacked encoder reaches the clean one; set training to 'joint', or choose the method natural"
            )
        return self
