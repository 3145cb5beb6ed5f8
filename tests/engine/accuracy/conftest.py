"""A classifier and images for AutoAttack, and a library that is short enough for a test."""

import pytest
import torch
from torch import nn

from claf_engine.data import Split
from tests.engine.wavy import NUM_CLASSES, Short, Wavy, classes_of


@pytest.fixture
def library_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyautoattack.AutoAttack", Short)


@pytest.fixture
def model() -> nn.Module:
    """A classifier in eval mode."""
    with torch.random.fork_rng(devices=[]):
        return Wavy().eval()


@pytest.fixture
def split(model: nn.Module) -> Split:
    """Images that the model classifies correctly, except for the first two."""
    images = torch.randint(0, 256, (20, 3, 8, 8), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    labels = classes_of(model, images)
    labels[:2] = (labels[:2] + 1) % NUM_CLASSES
    return Split(images, labels)
