"""A model of somebody else's as two: the encoder, and the linear layer that gives its logits."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claf_engine.models.modes import evaluating

CLOSE = 1e-4
"""How near to its logits the two parts of a model must come."""


@dataclass(frozen=True)
class Split:
    """A model as two.

    Attributes:
        encoder: images to features (N, D).
        classifier: its last layer, features to logits (N, K).
        path: where that was: "fc".
    """

    encoder: nn.Module
    classifier: nn.Linear
    path: str


def take_off(model: nn.Module, path: str) -> Split:
    """Take a linear layer off a model, in place."""
    classifier = model.get_submodule(path)
    assert isinstance(classifier, nn.Linear)
    model.set_submodule(path, nn.Identity())
    return Split(model, classifier, path)


def split_logits(model: nn.Module, images: Tensor) -> Split | None:
    """Take off the linear layer whose output is the logits, in place.

    It is found by watching a batch, and only what computes the same in two parts is split.

    Args:
        model: images (N, C, H, W) to logits (N, K).
        images: at least two different ones.

    Returns:
        None where no linear layer gives the logits, or not it alone; the model is then as it was.
    """
    with torch.no_grad(), evaluating(model):
        logits, path = _watched(model, images)
        if path is None:
            return None
        split = take_off(model, path)
        try:
            features = model(images)
        except RuntimeError:  # what comes after the layer does not take features
            features = None
    is_same = (
        isinstance(features, Tensor)
        and features.shape == (len(images), split.classifier.in_features)
        and logits.shape == (len(images), split.classifier.out_features)
        and torch.allclose(split.classifier(features), logits, rtol=CLOSE, atol=CLOSE)
    )
    if is_same:
        return split
    model.set_submodule(path, split.classifier)
    return None


def _watched(model: nn.Module, images: Tensor) -> tuple[Tensor, str | None]:
    """The logits, and the name of the linear layer that gave them in the same memory, not written to since."""
    given: dict[tuple[int, int], str] = {}

    def noting(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            given[output.data_ptr(), output._version] = name

        return note

    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and name]
    handles = [layer.register_forward_hook(noting(name)) for name, layer in layers]
    try:
        logits = model(images)
    finally:
        for handle in handles:
            handle.remove()
    return logits, given.get((logits.data_ptr(), logits._version))
