"""What is audited: a classifier, its images, and the claim that is made about it."""

from dataclasses import dataclass
from fractions import Fraction

from torch import nn

from claf_engine.attacks import PIXEL, Space
from claf_engine.compute.device import Compute
from claf_engine.data import Split
from claf_engine.models.network import Network

CLAIM_STEP = Fraction(2, 255)
"""Step size of the attack that a figure usually rests on."""


@dataclass(frozen=True)
class Subject:
    """A classifier under the claim of a robust accuracy at one Linf radius.

    Attributes:
        model: images in [0, 1] to logits.
        split: test images that it is asked about.
        compute: where; everything is measured in fp32.
        epsilon: radius of the claim.
        step_size: of the claim's attack.
        space: of the claim; in the released code's space it is not about an epsilon-ball.
        seed: of random starts.
        batch_size: examples at once.
        network: the encoder with its classifiers, or None for a model of another kind.
        train: training images, or None where there are none; classifiers are refitted on them.
        classifier: name of the network's classifier that `model` ends in.
        surrogate: a second model for transfer attacks, or None.
        data: name of the images' source, such as "cifar10"; empty where it is not known.
    """

    model: nn.Module
    split: Split
    compute: Compute
    epsilon: Fraction = Fraction(8, 255)
    step_size: Fraction = CLAIM_STEP
    space: Space = PIXEL
    seed: int = 0
    batch_size: int = 250
    network: Network | None = None
    train: Split | None = None
    classifier: str = ""
    surrogate: nn.Module | None = None
    data: str = ""
