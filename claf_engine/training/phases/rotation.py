"""Attacks that also hinder the rotation head, where the settings add its loss to a supervised objective.

Hendrycks et al. (2019): what the attack climbs is the same sum that training minimises. The loss itself is
a term of the objective (`terms.rotation_loss`).
"""

from torch import Tensor, nn

from claf_engine.attacks.gradients import Gradient, Loss, Mode, Target, cross_entropy_by_log_odds
from claf_engine.compute.device import Compute
from claf_engine.config.pretext import NUM_TURNS
from claf_engine.data.pretexts import all_turns, turned
from claf_engine.models.network import Pipeline


class TurnedTarget(Target):
    """A model under attack beside the head that tells how an image is turned.

    Gradients are those of the sum of both losses, each summed over images.

    Args:
        model: encoder and classifier.
        head: features to logits of the four turns.
        weight: of the mean loss over the four turns of an image.
    """

    def __init__(self, model: Pipeline, head: nn.Module, weight: float, compute: Compute, mode: Mode) -> None:
        super().__init__(model, compute, mode)
        self._turns = Target(Pipeline(model.encoder, head), compute, mode)
        self._weight = weight

    def refresh(self) -> None:
        """Take over what the model and the head have learnt since."""
        super().refresh()
        self._turns.refresh()

    def gradient(self, loss: Loss, *context: Tensor, is_joint: bool = False) -> Gradient:
        """What an attack climbs on one batch; see `Target`."""
        plain = super().gradient(loss, *context, is_joint=is_joint)
        return lambda images: plain(images) + self._weight * self._rotation_gradient(images)

    def _rotation_gradient(self, images: Tensor) -> Tensor:
        """Of the cross-entropies of four turns, averaged over them and summed over images (N, C, H, W), by these."""
        shown, quarters = all_turns(images)
        found = self._turns.gradient(cross_entropy_by_log_odds, quarters)(shown)
        back = turned(found, -quarters % NUM_TURNS)
        return back.view(NUM_TURNS, *images.shape).mean(0)
