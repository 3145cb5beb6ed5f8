"""Settings of pretraining on a task that images set by themselves."""

from typing import Literal

from pydantic import Field, model_validator

from claf_engine.config.base import Count, Positive, Settings

NUM_TURNS = 4
"""Of an image, by quarters."""
Grid = Literal[2, 3, 4]


class PretextConfig(Settings):
    """Pretraining on a pretext task, without labels, and the classifier on top of it (Chen et al. 2020)."""

    epochs: Count = 100
    task: Literal["rotation", "jigsaw", "selfie"] = Field(
        "rotation",
        description="by how many quarters an image was turned, in which order its tiles lie, or which of its hidden "
        "patches belongs where",
    )
    images: Literal["natural", "adversarial"] = Field(
        "adversarial", description="what the task is learned on: natural images, or those and attacked ones, half each"
    )
    view: Literal["image", "shift", "crop"] = Field(
        "shift", description="of every image, before it is turned or cut; as supervised.view"
    )
    grid: Grid = Field(4, description="jigsaw and selfie: tiles along each side, 2, 3 or 4; selfie needs 3 or 4")
    permutations: Positive = Field(
        31, description="jigsaw: orders to tell apart, the original one among them; at most 12, 72 or 240 by grid"
    )
    attention_layers: Positive = Field(4, description="selfie: self-attention layers that pool what is visible")
    head: Literal["linear", "robust-linear", "fine-tune"] = Field(
        "fine-tune", description="linear evaluation, the same on attacked images, or adversarial training of everything"
    )

    @model_validator(mode="after")
    def _has_so_many_orders(self) -> "PretextConfig":
        most = self.grid**2 * (self.grid**2 - 1)
        if self.task == "jigsaw" and not 2 <= self.permutations <= most:
            raise ValueError(f"pretext.permutations must lie between 2 and {most} where pretext.grid is {self.grid}")
        return self

    @model_validator(mode="after")
    def _hides_several_patches(self) -> "PretextConfig":
        if self.task == "selfie" and self.grid == 2:
            raise ValueError(
                "pretext.task = 'selfie' hides a quarter of the patches, and tells nothing apart where that is one; "
                "set pretext.grid to 3 or 4"
            )
        return self
