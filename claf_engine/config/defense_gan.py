"""Settings of DefenseGAN's generator."""

from pydantic import Field

from claf_engine.config.base import Count, Positive, Settings
from claf_engine.config.training import OptimizerConfig


class DefenseGanConfig(Settings):
    """The generator of DefenseGAN (Samangouei et al. 2018), trained as WGAN-GP before the classifier."""

    epochs: Count = Field(100, description="passes of the critic over the training images")
    latent: Positive = Field(128, description="entries of a latent vector")
    width: Positive = Field(64, description="channels of the generator at full size; each halving has twice as many")
    critic_steps: Positive = Field(5, description="steps of the critic before each step of the generator")
    penalty: float = Field(10.0, ge=0, description="weight of the penalty on the critic's gradient")
    optimizer: OptimizerConfig = Field(
        OptimizerConfig(name="adam", learning_rate=1e-4, weight_decay=0.0, schedule="constant", betas=(0.0, 0.9)),
        description="of critic and generator, each with one of its own",
    )
