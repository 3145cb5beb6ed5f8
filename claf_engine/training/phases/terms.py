"""What the settings `objective` add to the losses of supervised training, whatever the method."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.attacks.gradients import Gradient, Loss, Target
from claf_engine.data.pretexts import all_turns
from claf_engine.models.modes import evaluating, training
from claf_engine.models.network import Pipeline
from claf_engine.training.encoding import encode
from claf_engine.training.objective_terms import asymmetric_supcon_loss, nuclear_norm, with_margin
from claf_engine.training.session import Session

ROTATION = "rotation"
"""The companion that tells how an image is turned."""


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
    if terms.rotation_weight:
        added = added + terms.rotation_weight * rotation_loss(session, shown.attacked)
    return added


def rotation_loss(session: Session, images: Tensor) -> Tensor:
    """Mean cross-entropy (0-d) of the four turns of images (B, C, H, W): L_SS of Hendrycks et al. (2019).

    All turns share a forward pass, in train mode.
    """
    turns, quarters = all_turns(images)
    model = Pipeline(session.state.network.encoder, session.companion(ROTATION))
    return F.cross_entropy(trained_pass(session, model, turns).logits, quarters)


def trained_pass(session: Session, model: Pipeline, images: Tensor) -> Outputs:
    """Features and logits of images (N, C, H, W) in train mode, with a graph."""
    with training(model), session.compute.autocast():
        features = encode(model.encoder, session.compute.arrange(images), session.compute)
        logits: Tensor = model.classifier(features)
    return Outputs(features, logits.float())


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
