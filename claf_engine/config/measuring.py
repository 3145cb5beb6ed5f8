"""Settings of what is measured while a run trains and when it ends."""

from fractions import Fraction

from pydantic import Field, field_validator, model_validator

from claf_engine.config.base import LIVE, BallDistance, Count, Positive, Settings, fitting, require_reach
from claf_engine.terms.names import Norm, PointName, SpaceName


class ProbeConfig(Settings):
    """The periodic look at natural and robust accuracy on a fixed validation subset."""

    every_epochs: Count = Field(5, description="epochs between probes; 0 never probes", json_schema_extra={**LIVE})
    num_examples: Positive = Field(256, description="validation images, the same at every probe")
    norm: Norm = "linf"
    space: SpaceName = Field(
        "pixel", description="pixel, or released-code: figures that are not accuracy in an epsilon-ball"
    )
    epsilons: tuple[BallDistance, ...] = (Fraction(8, 255), Fraction(16, 255))
    step_size: BallDistance = Fraction(2, 255)
    steps: Positive = 10
    selection_steps: Count = Field(
        20,
        description="steps of the stronger attack that the best checkpoint is chosen by: across the ball of the first "
        "radius, on the margin, any point decides; 0 chooses by the probe's own figure",
    )
    fit_epochs: Positive = Field(10, description="passes of the quick linear fit that stage 1 is probed with")
    sentinel_examples: Count = Field(
        64,
        description="of the probe's images, at most a quarter of them, that its sentinels look at; 0 switches them off",
    )
    examples: Count = Field(
        8, le=64, description="of the probe's images, how many are kept as attacked pictures to look at; 0 keeps none"
    )

    _fits = field_validator("epsilons", "step_size")(fitting)

    @model_validator(mode="after")
    def _attack_reaches(self) -> "ProbeConfig":
        require_reach(self.norm, self.epsilons, self.step_size, self.steps)
        return self


class EvaluationConfig(Settings):
    """The test-split evaluation at the end of a run."""

    norm: Norm = "linf"
    space: SpaceName = Field(
        "pixel", description="pixel, or released-code: figures that are not accuracy in an epsilon-ball"
    )
    epsilons: tuple[BallDistance, ...] = (Fraction(8, 255), Fraction(16, 255))
    step_size: BallDistance = Fraction(2, 255)
    steps: Positive = 10
    restarts: Positive = 1
    decides: PointName = Field(
        "last", description="point of an attack that decides: its last one, or any, which is stricter and cheaper"
    )
    num_examples: Positive | None = Field(None, description="test images; all by default")

    _fits = field_validator("epsilons", "step_size")(fitting)

    @model_validator(mode="after")
    def _attack_reaches(self) -> "EvaluationConfig":
        require_reach(self.norm, self.epsilons, self.step_size, self.steps)
        return self
