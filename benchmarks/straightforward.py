"""CLAF's second stage, adversarial training, TRADES and linear evaluation as one would write them from the papers.

Nothing here comes from the engine. The savings that the engine is measured by are missing on purpose: fp32, contiguous
memory, BatchNorm left in place, a data loader that transforms one PIL image at a time, gradients wherever autograd lets
them flow, and `loss.item()` after every step. Where the authors' code and their paper differ, this follows the paper:
images are attacked in pixel space, and the encoder that a classifier is retrained on stands still.

Every loop takes batches from any iterable and random numbers from `Attack.noise`, so that a test can feed it those of
the engine. It returns the loss of each step.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
Batches = Iterable[Sequence[Tensor]]
"""Passes over the images: (images, views..., labels); iterating again begins another pass."""
Noise = Callable[[Tensor], Tensor]
"""Draws random numbers in the shape of its argument."""


@dataclass(frozen=True)
class Attack:
    """PGD in Linf.

    Attributes:
        epsilon: radius, in pixel space.
        step_size: length of one step.
        steps: how many.
        noise: what the random start is made of: uniform in [0, 1) or, for TRADES, Gaussian numbers.
    """

    epsilon: float
    step_size: float
    steps: int
    noise: Noise


class Block(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18 with the CIFAR stem: pixels in [0, 1] to features."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks = [Block(width, width, 1), Block(width, width, 1)]
        for channels in (width, 2 * width, 4 * width):
            blocks += [Block(channels, 2 * channels, 2), Block(2 * channels, 2 * channels, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.num_features = 8 * width

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, D)."""
        out = self.blocks(F.relu(self.bn1(self.conv1((x - self.mean) / self.std))))
        return F.adaptive_avg_pool2d(out, 1).flatten(1)


class Model(nn.Module):
    """Encoder f, projection head g and classifier c; called, it gives c(f(x))."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = ResNet18(width)
        features = self.encoder.num_features
        self.head = nn.Sequential(nn.Linear(features, 512), nn.ReLU(), nn.Linear(512, 128))
        self.classifier = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to logits (N, K)."""
        logits: Tensor = self.classifier(self.encoder(x))
        return logits

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.classifier.weight.device


class Images(Dataset[tuple[Tensor | int, ...]]):
    """Images in memory, transformed one by one, as torchvision's CIFAR-10 does it."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Sequence[Callable[[Image.Image], Tensor]]) -> None:
        """Take uint8 images (N, 3, H, W), labels (N,) and a transform for each tensor that an image becomes."""
        self.images = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        self.labels = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor | int, ...]:
        image = Image.fromarray(self.images[index])
        return (*(transform(image) for transform in self.transform), self.labels[index])


def loader(
    images: Tensor, labels: Tensor, batch_size: int, transform: Sequence[Callable[[Image.Image], Tensor]]
) -> DataLoader[tuple[Tensor | int, ...]]:
    """Shuffled batches of the transformed images, loaded in this process."""
    return DataLoader(Images(images, labels, transform), batch_size, shuffle=True)


def unchanged_view() -> Callable[[Image.Image], Tensor]:
    """The image as it is."""
    view: Callable[[Image.Image], Tensor] = transforms.ToTensor()
    return view


def contrastive_view(size: int) -> Callable[[Image.Image], Tensor]:
    """The random augmentation of SimCLR and SupContrast."""
    jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
    view: Callable[[Image.Image], Tensor] = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.ToTensor(),
        ]
    )
    return view


def shifted_view(size: int) -> Callable[[Image.Image], Tensor]:
    """The random augmentation of supervised training."""
    view: Callable[[Image.Image], Tensor] = transforms.Compose(
        [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )
    return view


def pgd(model: nn.Module, x: Tensor, y: Tensor, attack: Attack) -> Tensor:
    """Images (N, 3, H, W) that raise the cross-entropy, from a uniform start; leaves the model in eval mode."""
    model.eval()
    x_adv = (x + (2 * attack.noise(x) - 1) * attack.epsilon).clamp(0, 1)
    for _ in range(attack.steps):
        x_adv.requires_grad_()
        loss = F.cross_entropy(model(x_adv), y)
        x_adv = ascend(x_adv, loss, x, attack)
    return x_adv


def trades_attack(model: nn.Module, x: Tensor, attack: Attack) -> Tensor:
    """Images (N, 3, H, W) whose predictions diverge from those of x, which are computed again in every step."""
    model.eval()
    x_adv = (x + 0.001 * attack.noise(x)).clamp(0, 1)
    for _ in range(attack.steps):
        x_adv.requires_grad_()
        loss = F.kl_div(F.log_softmax(model(x_adv), 1), F.softmax(model(x), 1), reduction="sum")
        x_adv = ascend(x_adv, loss, x, attack)
    return x_adv


def ascend(x_adv: Tensor, loss: Tensor, x: Tensor, attack: Attack) -> Tensor:
    """One step up the loss, back into the ball around x and into [0, 1]."""
    (gradient,) = torch.autograd.grad(loss, x_adv)
    moved = x_adv.detach() + attack.step_size * gradient.sign() - x
    return (x + moved.clamp(-attack.epsilon, attack.epsilon)).clamp(0, 1)


def supcon(z: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss of rows z (M, P) of unit length with labels (M,) (Khosla et al. 2020, eq. 2)."""
    logits = z @ z.T / temperature
    logits = logits - logits.max(1, keepdim=True).values.detach()
    others = 1 - torch.eye(len(y), device=z.device)
    positives = (y[:, None] == y[None, :]).float() * others
    log_probability = logits - (logits.exp() * others).sum(1, keepdim=True).log()
    return -((positives * log_probability).sum(1) / positives.sum(1)).mean()


def retrain(model: Model, batches: Batches, attack: Attack, sweeps: int) -> list[float]:
    """Algorithm 1, first loop: train the classifier on attacked images.

    The loss goes backward through the encoder too, whose weights nobody has frozen; only the classifier's are stepped.
    """
    optimizer = torch.optim.Adam(model.classifier.parameters(), lr=1e-3)
    losses = []
    for _ in range(sweeps):
        for batch in batches:
            x, y = (tensor.to(model.device) for tensor in batch)
            x_adv = pgd(model, x, y, attack)
            loss = F.cross_entropy(model(x_adv), y)
            losses.append(step(optimizer, loss))
    return losses


def train_encoder(
    model: Model, batches: Batches, attack: Attack, optimizer: torch.optim.Optimizer, temperature: float
) -> list[float]:
    """Algorithm 1, second loop: train encoder and head on two views and the attacked images."""
    losses = []
    for batch in batches:
        x, x1, x2, y = (tensor.to(model.device) for tensor in batch)
        x_adv = pgd(model, x, y, attack)
        model.train()
        z = F.normalize(model.head(model.encoder(torch.cat([x1, x2, x_adv]))))
        losses.append(step(optimizer, supcon(z, y.repeat(3), temperature)))
    return losses


def adversarial_training(
    model: Model, batches: Batches, attack: Attack, optimizer: torch.optim.Optimizer
) -> list[float]:
    """An epoch of Madry et al. (2018), attacked in eval mode."""
    losses = []
    for batch in batches:
        x, y = (tensor.to(model.device) for tensor in batch)
        x_adv = pgd(model, x, y, attack)
        model.train()
        losses.append(step(optimizer, F.cross_entropy(model(x_adv), y)))
    return losses


def trades(
    model: Model, batches: Batches, attack: Attack, optimizer: torch.optim.Optimizer, beta: float
) -> list[float]:
    """An epoch of Zhang et al. (2019) as released: the natural images pass once in each attack step, and twice more."""
    losses = []
    for batch in batches:
        x, y = (tensor.to(model.device) for tensor in batch)
        x_adv = trades_attack(model, x, attack)
        model.train()
        natural = F.cross_entropy(model(x), y)
        divergence = F.kl_div(F.log_softmax(model(x_adv), 1), F.softmax(model(x), 1), reduction="batchmean")
        losses.append(step(optimizer, natural + beta * divergence))
    return losses


def linear_evaluation(model: Model, batches: Batches, epochs: int) -> list[float]:
    """Fit the classifier on the frozen encoder, which every image passes again in every epoch."""
    optimizer = torch.optim.Adam(model.classifier.parameters(), lr=1e-3)
    losses = []
    model.eval()
    for _ in range(epochs):
        for batch in batches:
            x, y = (tensor.to(model.device) for tensor in batch)
            with torch.no_grad():
                features = model.encoder(x)
            losses.append(step(optimizer, F.cross_entropy(model.classifier(features), y)))
    return losses


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Step on a loss and read it."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.item())
