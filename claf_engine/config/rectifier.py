"""Settings of the method "rectifier"."""

from fractions import Fraction

from pydantic import Field, field_validator

from claf_engine.config.base import BallDistance, Count, Positive, Settings, Share, fitting
from claf_engine.config.training import OptimizerConfig
from claf_engine.terms.names import Norm


class RectifierConfig(Settings):
    """A perturbation rectifying network (Akhtar et al. 2018), its perturbations and its detector."""

    norm: Norm = Field("linf", description="of the universal perturbations that it learns from")
    epsilon: BallDistance = Field(Fraction(10, 255), description="radius of these perturbations")
    num_perturbations: Positive = Field(10, description="universal perturbations that are crafted")
    perturbation_epochs: Positive = Field(5, description="passes over the training images for each of them")
    num_synthetic: Count = Field(40, description="further ones that are mixed of them by random walks")
    width: Positive = Field(32, description="channels inside of the rectifier")
    blocks: Count = Field(3, description="its residual blocks of two convolutions")
    epochs: Positive = Field(10, description="passes that train the rectifier")
    perturbed_share: Share = Field(0.5, description="share of the images that are perturbed when it learns")
    optimizer: OptimizerConfig = OptimizerConfig(name="adam", learning_rate=1e-3, weight_decay=0.0)
    detector_epochs: Count = Field(5, description="passes that train the detector; 0 leaves it out")
    detector_optimizer: OptimizerConfig = OptimizerConfig(name="adam", learning_rate=1e-2, weight_decay=1e-3)

    _fits = field_validator("epsilon")(fitting)
