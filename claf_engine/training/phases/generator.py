"""The generator of DefenseGAN (Samangouei et al. 2018), trained on natural images against a critic that is dropped."""

from collections.abc import Iterator

import torch
from torch import Tensor

from claf_engine.compute.seeding import VIEWS
from claf_engine.events.ticks import PartEnd, Tick
from claf_engine.models.modes import training
from claf_engine.terms.errors import ConfigError
from claf_engine.training.session import Session
from claf_engine.training.wasserstein import critic_loss, generator_loss

CRITIC, GENERATOR = "critic", "generator"


def generator(session: Session) -> Iterator[Tick]:
    """Step the critic on every batch of training images, and after every few of them the generator.

    Everything is fp32, because the penalty is differentiated twice.

    Raises:
        ConfigError: several processes train together; the noise of a batch is drawn for one.
    """
    if not session.world.is_single:
        raise ConfigError("method defense-gan trains its generator in one process; start it without torchrun")
    config, cursor = session.config.defense_gan, session.state.cursor
    total = config.epochs * session.steps_per_sweep
    while cursor.epoch < config.epochs:
        for rows in session.batches():
            images, _ = session.training_batch(rows)
            done = cursor.epoch * session.steps_per_sweep + cursor.batch
            loss, rate = step_critic(session, images, (done, total))
            if (done + 1) % config.critic_steps == 0:
                step_generator(session, len(images), (done // config.critic_steps, total // config.critic_steps))
            yield session.finish_step("critic", "wgan_gp", loss, rate, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    for name in (CRITIC, GENERATOR):
        session.drop_optimizer(name)
    session.drop_companion(CRITIC)


def step_critic(session: Session, images: Tensor, schedule: tuple[int, int]) -> tuple[Tensor, float]:
    """One step of the critic on natural images (B, C, H, W); gives its loss, 0-d, and the learning rate."""
    critic, stream = session.companion(CRITIC), session.state.generators[VIEWS]
    with torch.no_grad():
        generated = generated_images(session, len(images))
    shares = torch.rand(len(images), generator=stream, device=images.device)
    with training(critic):
        loss = critic_loss(critic, images, generated, shares).total(session.config.defense_gan.penalty)
    return loss, session.step_optimizer(CRITIC, loss, *schedule)


def step_generator(session: Session, count: int, schedule: tuple[int, int]) -> None:
    """One step of the generator on so many images."""
    critic = session.companion(CRITIC)
    loss = generator_loss(critic, generated_images(session, count))
    session.step_optimizer(GENERATOR, loss, *schedule)


def generated_images(session: Session, count: int) -> Tensor:
    """So many generated images (B, C, H, W) in [0, 1] with their graph, of latent vectors from the views' stream.

    No view is drawn in this phase, so the stream is free for it.
    """
    made, stream = session.companion(GENERATOR), session.state.generators[VIEWS]
    latents = torch.randn(count, session.config.defense_gan.latent, generator=stream, device=session.compute.device)
    images: Tensor = made(latents)
    return images
