"""Pretraining on a task that images set by themselves, without labels (Gidaris et al. 2018; Chen et al. 2020).

The encoder learns together with a head that is left behind: by how many quarters an image was turned, in which order
its tiles lie, or which of its hidden patches belongs where. An attack climbs the loss of the same task.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.attacks import ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Gradient, Loss, Target, cross_entropy_by_log_odds
from claf_engine.compute.seeding import ATTACK_STREAM, VIEWS
from claf_engine.config import RunConfig
from claf_engine.config.pretext import NUM_TURNS
from claf_engine.data.pretexts import patches_of, permutations, shuffled, turned, whole_of
from claf_engine.data.views import VIEW_OF
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.models.library import LibraryModel
from claf_engine.models.modes import training
from claf_engine.models.network import Pipeline
from claf_engine.models.probing import probe_images, require_output
from claf_engine.models.written import WrittenModel
from claf_engine.terms.errors import ConfigError
from claf_engine.training.encoding import encode
from claf_engine.training.ramps import grown
from claf_engine.training.session import Session

SELFIE = "selfie"


@dataclass(frozen=True)
class Task:
    """The task of a run, as its phase plays it.

    Attributes:
        head: what answers.
        target: what is attacked: encoder and head, or, of selfie, the encoder of patches.
        climbs: outputs of the target in fp32 and the right answers to a loss of each image, which an attack climbs.
        orders: (P, grid^2) the orders of jigsaw, on the device; None in other tasks.
    """

    session: Session
    head: nn.Module
    target: Target
    climbs: Loss
    orders: Tensor | None = None

    @property
    def hides_patches(self) -> bool:
        """Whether the encoder sees patches, one by one."""
        return self.session.config.pretext.task == SELFIE

    @property
    def grid(self) -> int:
        """Tiles along each side."""
        return self.session.config.pretext.grid


@dataclass(frozen=True)
class Puzzles:
    """What a task shows and asks.

    Attributes:
        images: (B, C, H, W) in [0, 1], turned or shuffled already.
        answers: (B,) by how many quarters, or in which order; of selfie (B, grid^2) places, the hidden ones first.
    """

    images: Tensor
    answers: Tensor


def pretext(session: Session) -> Iterator[Tick]:
    """Train encoder and head on the task, epoch after epoch; the head goes when the phase is over."""
    config, cursor = session.config.pretext, session.state.cursor
    optimizer, task = f"encoder+{config.task}", task_of(session)
    while cursor.epoch < config.epochs:
        for rows in session.batches():
            puzzles = pose(task, session.training_batch(rows)[0])
            shown = [puzzles.images]
            if config.images == "adversarial":
                shown.insert(0, (yield from craft(task, puzzles)))
            loss_of = partial(pretext_loss, task, shown, puzzles.answers)
            done = cursor.epoch * session.steps_per_sweep + cursor.batch
            schedule = done, config.epochs * session.steps_per_sweep
            taken = session.minimise(optimizer, loss_of, session.progress(config.epochs), schedule)
            yield session.finish_step("encoder", config.task, *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(optimizer)
    session.drop_companion(config.task)


def task_of(session: Session) -> Task:
    """The task that the settings name.

    Raises:
        ConfigError: the images are too small for the grid, or the encoder does not take patches.
    """
    config, encoder = session.config, session.state.network.encoder
    if config.pretext.task != "rotation":
        require_grid(session)
    head = session.companion(config.pretext.task)
    if config.pretext.task == SELFIE:
        return Task(session, head, Target(Pipeline(encoder, nn.Identity()), session.compute), partial(misplaced, head))
    target = Target(Pipeline(encoder, head), session.compute)
    return Task(session, head, target, log_odds, orders_of(config, session.compute.device))


def orders_of(config: RunConfig, device: torch.device) -> Tensor | None:
    """The orders that jigsaw tells apart, (P, grid^2); None in other tasks."""
    is_jigsaw = config.pretext.task == "jigsaw"
    return permutations(config.pretext.grid, config.pretext.permutations).to(device) if is_jigsaw else None


def require_grid(session: Session) -> None:
    """Refuse images without a pixel for each tile, and encoders of others that take no patches.

    Raises:
        ConfigError: with what to do.
        DataError: see `require_output`.
    """
    config, (height, width) = session.config, session.data.image_size
    grid, encoder = config.pretext.grid, session.state.network.encoder
    if min(height, width) < grid:
        raise ConfigError(f"images of {width}x{height} pixels have no {grid}x{grid} tiles; set a smaller pretext.grid")
    if config.pretext.task == SELFIE and isinstance(encoder, LibraryModel | WrittenModel):
        patches = probe_images((len(config.model.mean), height // grid, width // grid)).to(session.compute.device)
        require_output(encoder, session.compute.arrange(patches), encoder.name)


def pose(task: Task, images: Tensor) -> Puzzles:
    """Draw the view of each image (B, C, H, W) in [0, 1] and what is asked of it, from the run's stream of views."""
    session = task.session
    config, stream = session.config, session.state.generators[VIEWS]
    if config.pretext.view != "image":
        images = VIEW_OF[config.pretext.view](images, config.views, stream, session.part)
    match config.pretext.task:
        case "rotation":
            quarters = _drawn(session, NUM_TURNS)
            return Puzzles(turned(images, quarters), quarters)
        case "jigsaw":
            chosen = _drawn(session, config.pretext.permutations)
            assert task.orders is not None, "made with the task"
            return Puzzles(shuffled(images, task.orders[chosen]), chosen)
        case "selfie":
            shape = (session.part.total, config.pretext.grid**2)
            draws = session.part.take(torch.rand(shape, generator=stream, device=images.device))
            return Puzzles(images, draws.argsort(1))


def craft(task: Task, puzzles: Puzzles) -> Generator[Pulse, None, Tensor]:
    """Images (B, C, H, W) on which the task is harder, in eval mode and in the ball around what it shows."""
    session = task.session
    task.target.refresh()
    spec = grown(session, from_config(session.config.attack, session.config.model), session.config.pretext.epochs)
    stream = session.state.generators[ATTACK_STREAM]
    return (yield from ascent_steps(climbed(task, puzzles), puzzles.images, spec, stream, part=session.part))


def climbed(task: Task, puzzles: Puzzles) -> Gradient:
    """What the attack climbs; where the encoder sees patches, their gradients are put together to that of the image."""
    if not task.hides_patches:
        return task.target.gradient(task.climbs, puzzles.answers)
    of_patches = task.target.gradient(task.climbs, puzzles.answers, is_joint=True)

    def of_images(images: Tensor) -> Tensor:
        patches = patches_of(images, task.grid)
        gradient = of_patches(patches.flatten(0, 1))
        return whole_of(gradient.view(patches.shape), images.shape)

    return of_images


def misplaced(head: nn.Module, features: Tensor, order: Tensor) -> Tensor:
    """How wrong the head of selfie is on each image: the mean over hidden places (N,).

    Args:
        head: see `SelfieHead`.
        features: (N * grid^2, D) in fp32, the patches of one image after the other.
        order: (N, grid^2) places, the hidden ones first.
    """
    scores = head(features.view(*order.shape, features.shape[-1]), order)
    places = torch.arange(scores.shape[1], device=scores.device).repeat(len(scores))
    return cross_entropy_by_log_odds(scores.flatten(0, 1), places).view(scores.shape[:2]).mean(1)


def pretext_loss(task: Task, shown: list[Tensor], answers: Tensor) -> Tensor:
    """The share of this process in the mean loss of the task, in train mode, with its graph.

    Args:
        task: what is asked.
        shown: images (B, C, H, W) each; attacked ones and natural ones count alike.
        answers: see `Puzzles`.
    """
    losses = [answer_loss(task, images, answers) for images in shown]
    return task.session.part.share_of(torch.stack(losses).mean())


def answer_loss(task: Task, images: Tensor, answers: Tensor) -> Tensor:
    """Mean cross-entropy (0-d) of the answers to images (B, C, H, W), in a forward pass of their own."""
    session, encoder = task.session, task.session.state.network.encoder
    seen = patches_of(images, task.grid).flatten(0, 1) if task.hides_patches else images
    with training(encoder), training(task.head), session.compute.autocast():
        features = encode(encoder, session.compute.arrange(seen), session.compute)
        if task.hides_patches:
            scores = task.head(features.view(*answers.shape, features.shape[-1]), answers)
            places = torch.arange(scores.shape[1], device=scores.device).repeat(len(scores))
            return F.cross_entropy(scores.flatten(0, 1).float(), places)
        return F.cross_entropy(task.head(features).float(), answers)


def _drawn(session: Session, count: int) -> Tensor:
    """A number below `count` for each image of this process (B,), drawn for the whole batch."""
    stream = session.state.generators[VIEWS]
    drawn = torch.randint(count, (session.part.total,), generator=stream, device=session.compute.device)
    return session.part.take(drawn)
