from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from claf_engine.models.splitting import split_logits


class Ending(nn.Module):
    """Features, a linear layer, and something after it."""

    def __init__(self, after: Callable[[Tensor], Tensor] = lambda logits: logits, bias: bool = True) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU())
        self.last = nn.Linear(6, 3, bias=bias)
        self.after = after

    def forward(self, images: Tensor) -> Tensor:
        return self.after(self.last(self.before(images)))


def images() -> Tensor:
    return torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "model",
    [
        Ending(),
        Ending(bias=False),
        Ending(lambda logits: logits.float()),
        nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(12, 3)),
        nn.Sequential(Ending(), nn.Identity(), nn.Dropout()),
    ],
)
def test_the_layer_that_gives_the_logits_is_taken_off(model: nn.Module) -> None:
    expected = model.eval()(images())
    split = split_logits(model, images())
    assert split is not None
    torch.testing.assert_close(split.classifier(split.encoder(images())), expected)
    assert split.encoder(images()).shape == (4, split.classifier.in_features)


class Twice(nn.Module):
    """Its last layer is used before, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 12)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(self.layer(images.flatten(1)).tanh())


@pytest.mark.parametrize(
    "model",
    [
        Ending(lambda logits: logits.log_softmax(1)),
        Ending(lambda logits: logits * 2),
        Ending(torch.relu_),
        Ending(lambda logits: logits[:, :2]),
        Twice(),
        nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten()),
        nn.Linear(2, 2),
    ],
)
def test_what_no_linear_layer_gives_alone_stays_whole_and_as_it_was(model: nn.Module) -> None:
    batch = images() if not isinstance(model, nn.Linear) else torch.rand(4, 2)
    expected, modules = model.eval()(batch), list(model.modules())
    assert split_logits(model, batch) is None
    assert list(model.modules()) == modules
    assert torch.equal(model(batch), expected)


def test_modes_are_put_back_and_no_hook_is_left() -> None:
    model = Ending().train()
    split_logits(model, images())
    assert all(module.training for module in model.before.modules())
    assert not any(module._forward_hooks for module in model.modules())
