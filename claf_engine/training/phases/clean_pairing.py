"""Clean logit pairing and logit squeezing: regularisers of the logits of natural images (Kannan et al. 2018).

Both look robust under a weak attack because they flatten the loss around images without moving the decision away from
them (Mosbach et al. 2018): PGD with more steps and restarts undoes most of it.
"""

from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor

from claf_engine.attacks.gradients import Target
from claf_engine.compute.seeding import VIEWS
from claf_engine.compute.world import Part
from claf_engine.events.ticks import Pulse
from claf_engine.models.network import Pipeline
from claf_engine.training.losses import logit_distance
from claf_engine.training.phases.objectives import Batch
from claf_engine.training.phases.terms import cross_entropy, trained_pass
from claf_engine.training.session import Session
from claf_engine.training.weight_perturbation import LossOf


def clp_loss(session: Session, model: Pipeline, _target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """Cross-entropy of noisy images, the distance of random pairs of their logits, and their squares.

    Kannan et al. (2018), with the Gaussian noise of both; the second image of a pair is any other one, whatever its
    class. All share one forward pass, and so one BatchNorm batch.
    """
    yield from ()
    images, labels = batch
    generator = session.state.generators[VIEWS]
    noisy = with_noise(images, session.config.clp.noise, generator, session.part)
    return partial(clean_pairing_loss, session, model, (noisy, labels))


def clean_pairing_loss(session: Session, model: Pipeline, batch: Batch) -> Tensor:
    """What `clp_loss` minimises of images that have their noise already."""
    (images, labels), config = batch, session.config.clp
    logits = trained_pass(session, model, images).logits
    loss = cross_entropy(session, logits, labels)
    if config.weight:
        loss = loss + config.weight * clean_distance(logits, session.part)
    if config.squeezing:
        loss = loss + config.squeezing * logits.square().mean()
    return loss


def clean_distance(logits: Tensor, part: Part) -> Tensor:
    """The mean squared distance (0-d) between the logits of the first and the second half of a batch.

    Batches come in random order, so that these are random pairs; the last image of an odd batch has none. Means are
    over pairs and classes, as in `logit_distance`; without any pair it is 0.

    Args:
        logits: (b, K) of this process.
        part: of the batch; the distance is that of the whole batch, whatever the processes.
    """
    every = part.in_order(part.gather_with_graph(logits))
    num_pairs = len(every) // 2
    if not num_pairs:
        return every.sum() * 0
    return logit_distance(every[:num_pairs], every[num_pairs : 2 * num_pairs])


def with_noise(images: Tensor, deviation: float, generator: torch.Generator, part: Part) -> Tensor:
    """Images (B, C, H, W) with Gaussian noise, back in [0, 1].

    Args:
        images: in [0, 1].
        deviation: of the noise, in units of the pixel range; at 0 nothing is drawn.
        generator: on their device.
        part: of the batch that they are, for whose whole the noise is drawn.
    """
    if not deviation:
        return images
    shape = (part.total, *images.shape[1:])
    noise = torch.randn(shape, generator=generator, device=images.device, dtype=images.dtype)
    return (images + deviation * part.take(noise)).clamp(0, 1)
