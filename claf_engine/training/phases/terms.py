"""What the settings `objective` add to the losses of supervised training, whatever the method."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.attacks.gradients import Gradient, Loss, Target
from claf_engine.models.modes import evaluating
from claf_engine.training.objective_terms import asymmetric_supcon_loss, nuclear_norm, with_margin
from claf_engine.training.session import Session


@dataclass(frozen=True)
class Outputs:
    """What the model that learns makes of images, in train mode and with a graph.

    Attributes:
        features: (N, D).
        logits: (N, K), fp32.
    """

    features: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Shown:
    """What a loss is taken on.

    Attributes:
        images: (B, C, H, W) in [0, 1].
        labels: (B,).
        attacked: (B, C, H, W) in [0, 1].
        keys: (B, P), see `natural_keys`.
    """

    images: Tensor
    labels: Tensor
    attacked: Tensor
    keys: Tensor | None


def natural_keys(session: Session, images: Tensor) -> Tensor | None:
    """What attacked images are contrasted with; None where they are not.

    Projections (B, P) of natural images (B, C, H, W), of the averaged network in eval mode and without a graph. Before
    the first step the average is the network itself.
    """
    if not session.config.objective.contrast_weight:
        return None
    network = session.state.measured
    with torch.no_grad(), evaluating(network), session.compute.autocast():
        return network.project(session.compute.arrange(images))


def cross_entropy(session: Session, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (0-d) of logits (N, K), with the label smoothing and the margin of the settings."""
    terms = session.config.objective
    if terms.margin:
        logits = with_margin(logits, labels, terms.margin * session.config.model.logit_scale)
    return F.cross_entropy(logits, labels, label_smoothing=terms.label_smoothing)


def added_terms(session: Session, shown: Shown, natural: Tensor | None, adversarial: Outputs) -> Tensor | float:
    """The sum of the terms that compare attacked with natural images, 0 where there are none.

    Args:
        session: settings, and where the phase stands.
        shown: the images.
        natural: their logits (B, K); None where no term needs them.
        adversarial: of the attacked ones.
    """
    terms, part = session.config.objective, session.part
    added: Tensor | float = 0.0
    if terms.nuclear_weight and natural is not None:
        norm = nuclear_norm(adversarial.logits - natural, part) / part.total
        added = added + ramped(session, terms.nuclear_weight) * norm
    if shown.keys is not None:
        with session.compute.autocast():
            anchors = session.state.network.projection_head(adversarial.features)
        contrast = asymmetric_supcon_loss(anchors, shown.keys, shown.labels, terms.contrast_temperature, part)
        added = added + ramped(session, terms.contrast_weight) * contrast
    return added


def ramped(session: Session, weight: float) -> float:
    """A weight that grows linearly from zero, at the step that is being taken."""
    return weight * float(session.progress(session.config.supervised.epochs))


def joint_gradient(session: Session, target: Target, loss: Loss, natural: Tensor, context: Tensor) -> Gradient:
    """What an attack climbs on a whole batch: a loss of each image, and the nuclear norm as the objective has it.

    Args:
        session: settings, and where the phase stands.
        target: what is attacked.
        loss: of logits and context.
        natural: logits (B, K).
        context: (B, ...).
    """
    part, weight = session.part, ramped(session, session.config.objective.nuclear_weight)

    def summed(logits: Tensor, natural: Tensor, context: Tensor) -> Tensor:
        norm = nuclear_norm(logits - natural, part) * (part.count / part.total)
        return loss(logits, context).sum() + weight * norm

    return target.gradient(summed, natural, context, is_joint=True)
