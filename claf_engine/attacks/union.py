"""Attacks in the union of several balls: the worst of several attacks, and one of the worst of several steps."""

from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from claf_engine.attacks import norms
from claf_engine.attacks.gradients import Gradient
from claf_engine.attacks.spec import Attack
from claf_engine.events.ticks import Pulse

Losses = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to a loss of each, (N,)."""


def multi_steepest_steps(
    gradient: Gradient, losses: Losses, images: Tensor, balls: Sequence[Attack]
) -> Generator[Pulse, None, Tensor]:
    """Multi steepest descent (Maini et al. 2020): each step is the worst of one in every ball.

    From the image itself, the steepest step of every norm is taken and brought back into its own ball; of each image
    the one of highest loss is kept, and the next step begins there. The point always lies in one of the balls.

    Args:
        gradient: what is climbed.
        losses: what the steps are compared by, as `gradient` climbs it.
        images: (N, C, H, W) in [0, 1]; not modified.
        balls: attacks in pixel space of equally many steps; norm, radius and step size count.

    Returns:
        The last point, (N, C, H, W).
    """
    point = images.clone()
    title = f"MSD-{balls[0].steps} over {', '.join(ball.norm.upper() for ball in balls)}"
    for number in range(balls[0].steps):
        yield Pulse(title, number, balls[0].steps)
        climbed = gradient(point)
        tried = [
            norms.project(
                norms.step(point, climbed, float(ball.step_size), ball.norm), images, float(ball.epsilon), ball.norm
            )
            for ball in balls
        ]
        point = worst_of(losses, tried)
    return point


def worst_of(losses: Losses, tried: Sequence[Tensor]) -> Tensor:
    """Of each image the point of highest loss, the first of equals: (N, C, H, W) of P times (N, C, H, W)."""
    values = torch.stack([losses(points) for points in tried])
    return torch.stack(list(tried))[values.argmax(0), torch.arange(values.shape[1], device=values.device)]
