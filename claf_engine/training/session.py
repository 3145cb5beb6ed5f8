"""What a phase works with: settings, device, images and state, and the few moves that all loops share."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn

from claf_engine.compute.device import Compute, make_generator
from claf_engine.compute.seeding import ORDER, derive_seed
from claf_engine.compute.world import Part, World
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Streamed, to_pixels
from claf_engine.events.ticks import Boundary
from claf_engine.models.modes import buffers_kept
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.terms.errors import NonFiniteLoss
from claf_engine.training.averaging import average_step, begin_average
from claf_engine.training.companions import Surroundings, build_companion, place_companion
from claf_engine.training.costs import steps_of_share
from claf_engine.training.optimizers import learning_rate, set_learning_rate
from claf_engine.training.state import FEATURES, TrainState, make_optimizer, optimizer_config
from claf_engine.training.weight_perturbation import LossOf, gamma_at, moved, perturbations


class Taken(NamedTuple):
    """A step that was taken: on which loss, 0-d and of all processes, and at which learning rate."""

    loss: Tensor
    rate: float


@dataclass(frozen=True)
class Session:
    """One run, in one process or as one process of it sees it. Only `state` changes.

    Attributes:
        feature_epochs: epochs that encoder and projection head train for, in all contrastive phases together.
    """

    config: RunConfig
    compute: Compute
    data: Dataset
    state: TrainState
    feature_epochs: int

    @property
    def world(self) -> World:
        """The processes that train together."""
        return self.compute.world

    @property
    def part(self) -> Part:
        """What this process takes of the batch that the cursor stands at."""
        return self._part_of(self.state.cursor.batch)

    @property
    def steps_per_sweep(self) -> int:
        """Optimiser steps of one pass over the training images; the last batch may be smaller."""
        return -(-len(self.data.train) // self.config.batch_size)

    @property
    def steps_per_retraining_sweep(self) -> int:
        """Optimiser steps of one pass of classifier retraining, which may take a share of the batches only."""
        return steps_of_share(self.config.adversarial.classifier_fraction, self.steps_per_sweep)

    def optimizer(self, name: str) -> torch.optim.Optimizer:
        """The optimiser of this name, made on first use."""
        state = self.state
        if name not in state.optimizers:
            state.optimizers[name] = make_optimizer(self.config, state, name)
        return state.optimizers[name]

    def renew_optimizer(self, name: str) -> None:
        """Begin again with an optimiser, and an average of what it steps, that remember nothing."""
        self.drop_optimizer(name)
        self.state.optimizers[name] = make_optimizer(self.config, self.state, name)

    def drop_optimizer(self, name: str) -> None:
        """Forget an optimiser that no later phase uses, so that checkpoints need not hold it."""
        self.state.optimizers.pop(name, None)
        self.state.ledger.averaged.pop(name, None)

    def companion(self, name: str) -> nn.Module:
        """The network of this name that is trained beside the measured one, on its device; built on first use.

        Its first weights depend on the run's seed and its name alone, so that it takes nothing from other streams.

        Raises:
            ConfigError: there is none of this name.
        """
        companions, network = self.state.companions, self.state.network
        if name not in companions:
            generator = make_generator(torch.device("cpu"), derive_seed(self.config.seed, "companion", name))
            width, num_classes = int(network.encoder.num_features), len(self.data.class_names)  # type: ignore[arg-type]
            surroundings = Surroundings(self.config, width, num_classes, self.data.image_size)
            companions[name] = place_companion(build_companion(name, surroundings, generator), self.compute)
        return companions[name]

    def drop_companion(self, name: str) -> None:
        """Forget a companion that no later phase and no measurement uses, so that checkpoints need not hold it."""
        self.state.companions.pop(name, None)

    def batches(self, num_batches: int | None = None, *, again: bool = False) -> Iterator[Tensor]:
        """One pass over the training images in random order, from wherever the cursor stands.

        Yields row indices (B,) on the CPU, of those of the batch that this process takes, which may be none; the caller
        ends each batch with `finish_step`.

        Args:
            num_batches: how many of the first batches are taken; None takes all.
            again: take the images of the pass before, and no others, in a new order.
        """
        state, cursor, size = self.state, self.state.cursor, self.config.batch_size
        if cursor.batch == 0:
            order = torch.randperm(len(self.data.train), generator=state.generators[ORDER])
            if again:
                order = order[torch.isin(order, state.order)]
            elif num_batches is not None:
                order = order[: num_batches * size]
            state.order = order
        num_taken = -(-len(state.order) // size)
        if isinstance(images := self.data.train.images, Streamed):
            images.read_ahead([self._rows_of(batch) for batch in range(cursor.batch, num_taken)])
        while cursor.batch < num_taken:
            batch = cursor.batch
            yield self._rows_of(batch)
            assert cursor.batch == batch + 1, "a batch must end with finish_step"

    def _rows_of(self, batch: int) -> Tensor:
        """Training rows (B,) of a batch of the current pass, of those that this process takes."""
        size = self.config.batch_size
        return self._part_of(batch).take(self.state.order[batch * size : (batch + 1) * size])

    def _part_of(self, batch: int) -> Part:
        size = self.config.batch_size
        return self.world.part(min(size, len(self.state.order) - batch * size))

    def training_batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] and labels (B,) of the training rows that `batches` yielded last."""
        split, placed = self.data.train, rows.to(self.compute.device, non_blocking=True)
        if isinstance(split.images, Streamed):
            return to_pixels(split.images.ahead(rows)), split.labels[placed]
        return to_pixels(split.images[placed]), split.labels[placed]

    def progress(self, epochs: int) -> Fraction:
        """The share of a phase of so many epochs that is done, when its pass over the images stands at this batch."""
        steps = self.steps_per_sweep
        return Fraction(self.state.cursor.epoch * steps + self.state.cursor.batch, epochs * steps)

    def minimise(self, name: str, loss_of: LossOf, progress: Fraction, schedule: tuple[int, int]) -> Taken:
        """Take one optimiser step on a loss, at the worst weights nearby where the settings want it so.

        Running statistics of BatchNorm follow the pass that is descended, and no other.

        Args:
            name: the optimiser.
            loss_of: the share of this process in the mean over the whole batch.
            progress: of the phase, in [0, 1].
            schedule: steps that the learning rate has seen before, and steps that it has in all.

        Raises:
            NonFiniteLoss: see `step_optimizer`.
        """
        gamma = gamma_at(self.config.weight_perturbation, progress)
        if not gamma:
            loss = loss_of()
            return Taken(loss, self.step_optimizer(name, loss, *schedule))
        with buffers_kept(nn.ModuleList([self.state.network, *self.state.companions.values()])):
            self._take_gradients(name, loss_of())
        weights = [weight for weight in self._weights(name) if weight.dim() > 1 and weight.grad is not None]
        with moved(weights, perturbations(weights, gamma)):
            loss = loss_of()
            self._take_gradients(name, loss)
        return Taken(loss, self._descend(name, *schedule))

    def step_optimizer(self, name: str, loss: Tensor, step: int, total_steps: int, *, is_edited: bool = True) -> float:
        """Take one optimiser step on a loss.

        Args:
            name: the optimiser.
            loss: 0-d, with its graph: the share of this process in the mean over the whole batch. Afterwards it holds
                the sum of all shares.
            step: steps the schedule has seen before.
            total_steps: steps the schedule has in all.
            is_edited: whether a live edit of the learning rate is meant for this optimiser.

        Returns:
            The learning rate of this step.

        Raises:
            NonFiniteLoss: the loss is NaN or infinite; nothing was stepped. An accelerator is asked only where a loss
                is logged or a checkpoint saved, because asking makes it wait.
        """
        self._take_gradients(name, loss)
        return self._descend(name, step, total_steps, is_edited=is_edited)

    def _take_gradients(self, name: str, loss: Tensor) -> None:
        """Give what an optimiser steps the gradients of a loss, and the loss the shares of other processes."""
        if self.world.is_single:
            self._require_sound(loss, name)
        self.optimizer(name).zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.world.sum_gradients(self._weights(name), loss.detach())
        if not self.world.is_single:
            self._require_sound(loss, name)

    def _weights(self, name: str) -> list[Tensor]:
        """What an optimiser steps."""
        return [weight for group in self.optimizer(name).param_groups for weight in group["params"]]

    def _descend(self, name: str, step: int, total_steps: int, *, is_edited: bool = True) -> float:
        """Step along the gradients, and let the average follow; gives the learning rate."""
        steps_per_epoch = self.steps_per_retraining_sweep if name == ATTACK_CLASSIFIER else self.steps_per_sweep
        rate = learning_rate(optimizer_config(self.config, name), step, total_steps, steps_per_epoch)
        if is_edited:
            rate *= self.state.ledger.learning_rate_factor
        optimizer = self.optimizer(name)
        set_learning_rate(optimizer, rate)
        optimizer.step()
        self._average(name)
        return rate

    def _average(self, optimizer: str) -> None:
        """Let the running average follow a step, where one is taken."""
        config, state = self.config, self.state
        if not config.averaging.decay:
            return
        if state.average is None:
            num_classes = len(self.data.class_names)
            state.average = begin_average(state.network, config.model, num_classes, self.compute, self.data.image_size)
        average_step(state, state.average, optimizer, config.averaging.decay)

    def _require_sound(self, loss: Tensor, optimizer: str) -> None:
        if self.compute.device.type == "cpu":
            self.require_finite(float(loss.detach()), optimizer)

    def require_finite(self, loss: float, optimizer: str | None = None) -> None:
        """Refuse a loss that is NaN or infinite.

        Args:
            loss: of the step that is being taken.
            optimizer: the one that would step on it; None where that is not known.

        Raises:
            NonFiniteLoss: with the step and what to try.
        """
        if not -float("inf") < loss < float("inf"):
            raise NonFiniteLoss(
                f"training diverged: the loss of step {self.state.cursor.step + 1} is {loss}; go back to a checkpoint "
                "with a lower learning rate",
                tuple(self.state.optimizers) if optimizer is None else (optimizer,),
            )

    def finish_step(self, part: str, loss_name: str, loss: Tensor, rate: float, num_images: int) -> Boundary:
        """Move the cursor past one optimiser step."""
        state = self.state
        state.cursor.batch += 1
        state.cursor.step += 1
        state.loss_sum += loss.detach()
        state.loss_count += 1
        return Boundary(part, loss_name, loss.detach(), rate, num_images)

    def feature_step(self, loss_of: LossOf, epochs: int, name: str = FEATURES) -> Taken:
        """Step encoder and projection head in a phase of so many epochs; all contrastive ones share one schedule.

        `name` is that of the optimiser, which may step a companion as well.
        """
        cursor = self.state.cursor
        schedule = cursor.feature_steps, self.feature_epochs * self.steps_per_sweep
        taken = self.minimise(name, loss_of, self.progress(epochs), schedule)
        cursor.feature_steps += 1
        return taken
