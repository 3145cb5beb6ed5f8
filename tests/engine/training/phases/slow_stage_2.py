"""Stage 2 once more, with its savings, in plain torch and one loop after the other."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.data import to_pixels
from claf_engine.data.views import make_views
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.training.losses import supcon_loss
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.session import Session

EPSILON = 8 / 255
LEVEL = EPSILON / 127


class Slow:
    """The same streams of random numbers; what is remembered of an image lies in a dictionary under its row."""

    def __init__(self, session: Session) -> None:
        self.session, self.config, self.network = session, session.config, session.state.network
        self.generators, self.train = session.state.generators, session.data.train
        self.encoder, self.classifier = self.network.encoder, self.network.classifiers[ATTACK_CLASSIFIER]
        self.found: dict[int, Tensor] = {}
        self.losses: list[tuple[str, float]] = []

    def play(self) -> list[tuple[str, float]]:
        if self.config.attack.warm_start:
            shape = self.train.images.shape
            drawn = torch.randint(-127, 128, shape, generator=self.generators["attack"], dtype=torch.int8)
            self.found = {row: drawn[row].float() * LEVEL for row in range(len(self.train))}
        trained = [*self.encoder.parameters(), *self.network.projection_head.parameters()]
        settings = self.config.features_optimizer
        self.sgd = torch.optim.SGD(trained, 1.0, settings.momentum, weight_decay=settings.weight_decay)
        for _ in range(self.config.adversarial.epochs):
            self.retrain()
            self.train_encoder()
        return self.losses

    def order(self) -> list[int]:
        drawn: list[int] = torch.randperm(len(self.train), generator=self.generators["order"]).tolist()
        return drawn

    def in_batches(self, rows: list[int]) -> list[list[int]]:
        size = self.config.batch_size
        return [rows[place : place + size] for place in range(0, len(rows), size)]

    def attacked(self, rows: list[int]) -> Tensor:
        x, y = to_pixels(self.train.images[rows]), self.train.labels[rows]
        if self.found:
            noise = torch.stack([self.found[row] for row in rows])
        else:
            noise = (torch.rand(x.shape, generator=self.generators["attack"]) * 2 - 1) * EPSILON
        point = torch.min(torch.max(x + noise, x - EPSILON), x + EPSILON).clamp(0, 1)
        self.encoder.eval()
        for _ in range(self.config.attack.steps):
            point.requires_grad_(True)
            logits = self.classifier(self.encoder(point))
            others = logits.masked_fill(F.one_hot(y, 4).bool(), -math.inf)
            climbed = (others.logsumexp(1) - logits.gather(1, y[:, None])[:, 0]).sum()
            (gradient,) = torch.autograd.grad(climbed, point)
            point = point.detach() + 2 / 255 * gradient.sign()
            point = torch.min(torch.max(point, x - EPSILON), x + EPSILON).clamp(0, 1)
        if self.found:
            for row, moved in zip(rows, point - x, strict=True):
                self.found[row] = (moved / LEVEL).round().clamp(-127, 127) * LEVEL
        return point

    def retrain(self) -> None:
        config, adam = self.config.adversarial, torch.optim.Adam(self.classifier.parameters(), 1e-3)
        num_batches = math.ceil(config.classifier_fraction * len(self.in_batches(list(range(len(self.train))))))
        features: dict[int, Tensor] = {}
        for sweep in range(config.classifier_epochs):
            is_replay = config.classifier_refresh == "replay" and sweep % config.replay_passes > 0
            order = self.order()
            if is_replay:
                order = [row for row in order if row in features]
            else:
                features.clear()
                order = order[: num_batches * self.config.batch_size]
            for rows in self.in_batches(order):
                if not is_replay:
                    features |= zip(rows, self.encoder(self.attacked(rows)).detach(), strict=True)
                logits = self.classifier(torch.stack([features[row] for row in rows]))
                self.step(adam, F.cross_entropy(logits, self.train.labels[rows]), "replay" if is_replay else "retrain")

    def train_encoder(self) -> None:
        for rows in self.in_batches(self.order()):
            x, y = to_pixels(self.train.images[rows]), self.train.labels[rows]
            views = make_views(x, self.config.views, 2, self.generators["views"])
            stacked = torch.cat([views, self.attacked(rows)[:, None]], dim=1)
            self.network.train()
            z = self.network.projection_head(self.encoder(stacked.flatten(0, 1))).view(len(x), 3, -1)
            done = sum(part == "encoder" for part, _ in self.losses)
            per_epoch, epochs = self.session.steps_per_sweep, self.config.contrastive.epochs
            total = per_epoch * (epochs + self.config.adversarial.epochs)
            self.sgd.param_groups[0]["lr"] = learning_rate(self.config.features_optimizer, done, total, per_epoch)
            self.step(self.sgd, supcon_loss(z, y, self.config.contrastive.temperature), "encoder")

    def step(self, optimizer: torch.optim.Optimizer, loss: Tensor, part: str) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        self.losses.append((part, loss.item()))
