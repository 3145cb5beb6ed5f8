"""A perturbation rectifying network beside a trained network: its perturbations, the rectifier, the detector.

The network stands still in all three. Whichever weights are measured, the trained ones or their average, are what the
perturbations are crafted against and what the rectifier guards.
"""

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.attacks import predict
from claf_engine.attacks.gradients import outputs_and_gradient
from claf_engine.attacks.norms import uniform_noise
from claf_engine.attacks.universal import Universal, ascend, capped_log_odds, into_ball, perturbed, total_gradient
from claf_engine.compute.device import make_generator
from claf_engine.compute.parts import in_parts
from claf_engine.compute.seeding import ATTACK_STREAM, derive_seed
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.models.folding import fold
from claf_engine.models.modes import evaluating, frozen, training
from claf_engine.models.network import NATURAL, Pipeline
from claf_engine.models.rectifier import PerturbationSet
from claf_engine.terms.names import Norm
from claf_engine.training.costs import universal_epochs
from claf_engine.training.session import Session
from claf_engine.training.state import joint_optimizer

PERTURBATIONS, RECTIFIER, DETECTOR = "perturbations", "rectifier", "detector"
"""Names of what is trained beside the network."""
LONGEST_WALK = 100


def universal_perturbations(session: Session) -> Iterator[Tick]:
    """Craft universal perturbations one after the other, each by ascent over some passes (see `attacks.universal`).

    After the last one, further ones are mixed of them.
    """
    session.drop_optimizer(joint_optimizer(NATURAL))
    state, config = session.state, session.config.rectifier
    cursor, kept = state.cursor, kept_perturbations(session)
    spec = Universal(config.epsilon, config.norm)
    model = fold(guarded_network(session))
    while cursor.epoch < universal_epochs(session.config):
        index, done = divmod(cursor.epoch, config.perturbation_epochs)
        found = kept.values[index : index + 1]
        if done == 0 and cursor.batch == 0:
            found.copy_(uniform_noise(found, float(spec.epsilon), spec.norm, state.generators[ATTACK_STREAM]))
        for rows in session.batches():
            yield Pulse(f"universal perturbation {index + 1} of {config.num_perturbations}")
            images, labels = session.training_batch(rows)
            gradient, loss = _summed(session, model, (images, labels), found)
            rate = float(spec.step) * state.ledger.learning_rate_factor
            found.copy_(ascend(found, gradient, spec, rate))
            yield session.finish_step("universal", "log_odds", loss, rate, session.part.total)
        if cursor.epoch + 1 == universal_epochs(session.config):
            mix(kept.values, config.num_perturbations, (float(config.epsilon), config.norm), _mixing(session))
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)


def train_rectifier(session: Session) -> Iterator[Tick]:
    """Train the rectifier so that the network says of natural and perturbed images what it says of natural ones.

    Cross-entropy with the network's own answers to the natural images (Akhtar et al. 2018).
    """
    session.drop_optimizer(joint_optimizer(NATURAL))
    cursor, epochs = session.state.cursor, session.config.rectifier.epochs
    model = guarded_network(session)
    while cursor.epoch < epochs:
        for rows in session.batches():
            images, _ = session.training_batch(rows)
            answers = predict(model, images, session.compute)
            loss_of = partial(rectified_loss, session, model, some_perturbed(session, images), answers)
            schedule = cursor.epoch * session.steps_per_sweep + cursor.batch, epochs * session.steps_per_sweep
            taken = session.minimise(RECTIFIER, loss_of, session.progress(epochs), schedule)
            yield session.finish_step(RECTIFIER, "rectified", *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(RECTIFIER)


def train_detector(session: Session) -> Iterator[Tick]:
    """Train a linear support vector machine on spectra of what the rectifier changes (Akhtar et al. 2018).

    Every image is shown as it is and perturbed.
    """
    session.drop_optimizer(RECTIFIER)
    cursor, epochs = session.state.cursor, session.config.rectifier.detector_epochs
    while cursor.epoch < epochs:
        for rows in session.batches():
            images, _ = session.training_batch(rows)
            pairs = torch.cat([images, all_perturbed(session, images)])
            loss_of = partial(detector_loss, session, changes_of(session, pairs))
            schedule = cursor.epoch * session.steps_per_sweep + cursor.batch, epochs * session.steps_per_sweep
            taken = session.minimise(DETECTOR, loss_of, session.progress(epochs), schedule)
            yield session.finish_step(DETECTOR, "hinge", *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(DETECTOR)


def guarded_network(session: Session) -> Pipeline:
    """What is measured: images to logits of the natural classifier."""
    return session.state.measured.with_classifier(NATURAL)


def kept_perturbations(session: Session) -> PerturbationSet:
    """The perturbations that were found so far."""
    kept = session.companion(PERTURBATIONS)
    assert isinstance(kept, PerturbationSet)
    return kept


def rectified_loss(session: Session, model: Pipeline, images: Tensor, answers: Tensor) -> Tensor:
    """The share of this process in the mean cross-entropy of rectified images with classes (B,); the model is frozen.

    Args:
        session: its rectifier.
        model: images (B, C, H, W) to logits (B, K).
        images: natural and perturbed ones, in [0, 1].
        answers: (B,).
    """
    rectifier = session.companion(RECTIFIER)
    with training(rectifier), frozen(model), session.compute.autocast():
        logits = model(rectifier(session.compute.arrange(images))).float()
    return session.part.share_of(F.cross_entropy(logits, answers))


def detector_loss(session: Session, changes: Tensor) -> Tensor:
    """The share of this process in the mean hinge loss of changes (2B, C, H, W), first of natural images."""
    detector = session.companion(DETECTOR)
    with training(detector):
        scores = detector(changes)
    sides = torch.ones_like(scores)
    sides[: len(scores) // 2] = -1
    return session.part.share_of(F.relu(1 - sides * scores).mean())


@torch.no_grad()
def changes_of(session: Session, images: Tensor) -> Tensor:
    """What the rectifier changes of images (N, C, H, W), in fp32."""
    rectifier = session.companion(RECTIFIER)
    with evaluating(rectifier):
        rectified: Tensor = rectifier(session.compute.arrange(images))
    return rectified.float() - images


def some_perturbed(session: Session, images: Tensor) -> Tensor:
    """Images (B, C, H, W) in [0, 1], of which a share is moved by a perturbation, each by one drawn for it."""
    part, stream = session.part, session.state.generators[ATTACK_STREAM]
    chance = torch.rand(part.total, generator=stream, device=images.device)
    is_moved = part.take(chance) < session.config.rectifier.perturbed_share
    return torch.where(is_moved.view(-1, 1, 1, 1), all_perturbed(session, images), images)


def all_perturbed(session: Session, images: Tensor) -> Tensor:
    """Images (B, C, H, W) in [0, 1], each moved by a perturbation that is drawn for it."""
    values, part, stream = kept_perturbations(session).values, session.part, session.state.generators[ATTACK_STREAM]
    drawn = torch.randint(len(values), (part.total,), generator=stream, device=images.device)
    return perturbed(images, values[part.take(drawn)])


@torch.no_grad()
def mix(values: Tensor, num_found: int, ball: tuple[float, Norm], generator: torch.Generator) -> None:
    """Fill what follows the first perturbations with mixtures of them, in place: random walks to the edge of the ball.

    Each step adds a perturbation that is drawn, times a factor in [0, 1) that is drawn.

    Args:
        values: (P, C, H, W).
        num_found: perturbations that are there, the first ones.
        ball: radius and norm.
        generator: on the CPU.
    """
    epsilon, norm = ball
    order = torch.inf if norm == "linf" else 2
    for place in range(num_found, len(values)):
        mixed = torch.zeros_like(values[:1])
        for _ in range(LONGEST_WALK):
            chosen = int(torch.randint(num_found, (), generator=generator))
            mixed = mixed + float(torch.rand((), generator=generator)) * values[chosen]
            if float(torch.linalg.vector_norm(mixed.flatten(), order)) >= epsilon:
                break
        values[place] = into_ball(mixed, epsilon, norm)[0]


def _mixing(session: Session) -> torch.Generator:
    return make_generator(torch.device("cpu"), derive_seed(session.config.seed, "synthetic perturbations"))


def _summed(
    session: Session, model: nn.Module, batch: tuple[Tensor, Tensor], perturbation: Tensor
) -> tuple[Tensor, Tensor]:
    """Of all processes the summed gradient (1, C, H, W) by a perturbation, and the mean loss (0-d)."""
    losses, total = perturbation.new_zeros(()), torch.zeros_like(perturbation)
    size = session.compute.micro_batch or max(1, len(batch[0]))
    for images, labels in in_parts(size, *batch):
        if len(images):  # one of several processes may have none of a small batch
            climbed = partial(capped_log_odds, labels=labels)
            moved = perturbed(images, perturbation)
            logits, gradients = outputs_and_gradient(model, climbed, moved, session.compute)
            total += total_gradient(gradients, images, perturbation)
            losses += climbed(logits).sum()
    return session.world.sum(total), session.world.sum(losses) / session.part.total
