"""How much arithmetic a network is: floating-point operations (FLOPs) of its convolutions and linear layers.

A multiply-add counts as two. BatchNorm, activations, losses and optimisers are left out: less than one in a hundred of
the operations of a ResNet, but much of its memory traffic, which is why the attained share of a machine's peak is worth
measuring.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

IMAGE_SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Flops:
    """FLOPs of one image.

    Attributes:
        forward: one pass to the outputs.
        attack_gradient: forward, and backward to the image alone, as on a frozen network.
        training: forward, and backward to the weights; to a layer's inputs only where weights lie before it.
    """

    forward: int = 0
    attack_gradient: int = 0
    training: int = 0

    def __add__(self, other: "Flops") -> "Flops":
        """The FLOPs of both."""
        return Flops(
            self.forward + other.forward,
            self.attack_gradient + other.attack_gradient,
            self.training + other.training,
        )

    def attack(self, steps: int) -> int:
        """FLOPs of crafting one adversarial image in so many steps."""
        return steps * self.attack_gradient

    def retraining(self, sweeps: int, steps: int) -> int:
        """FLOPs of the encoder in the classifier's retraining: an attack and a forward pass in every sweep."""
        return sweeps * (self.attack(steps) + self.forward)


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer of a network, as it meets one image.

    Attributes:
        name: of the module.
        weight: its shape; (C_out, C_in / groups, height, width) of a convolution, (D_out, D_in) of a linear layer.
        stride: of a convolution, else ().
        padding: of a convolution, else ().
        groups: of a convolution, else 1.
        inputs: shape of its input, without the batch.
        outputs: shape of its output, without the batch.
        reads_images: no weights lie between the images and this layer, so that training sends nothing back through it.
    """

    name: str
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    reads_images: bool

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution rather than a linear layer."""
        return bool(self.stride)

    @property
    def flops(self) -> Flops:
        """FLOPs of its passes; backward to the inputs and backward to the weights cost one forward pass each."""
        positions = torch.Size(self.outputs).numel() // self.weight[0]
        forward = 2 * positions * torch.Size(self.weight).numel()
        return Flops(forward, 2 * forward, (2 if self.reads_images else 3) * forward)


def layers_of(model: nn.Module, image_shape: tuple[int, ...] = IMAGE_SHAPE) -> list[Layer]:
    """The convolutions and linear layers of a network in the order in which an image meets them.

    Args:
        model: images (N, *image_shape) to anything; left as it is, nothing is computed with its weights. Only modules
            are seen: a convolution called as a function is not.
        image_shape: (channels, height, width).

    Raises:
        ValueError: a convolution pads by a name, such as "same", instead of a number of pixels.
    """
    twin = copy.deepcopy(model).to("meta").requires_grad_(True).eval()
    found: list[Layer] = []

    def note(name: str) -> None:
        module = twin.get_submodule(name)

        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found.append(_layer(name, module, inputs[0], output))

        module.register_forward_hook(hook)

    for name, module in twin.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            note(name)
    with torch.enable_grad():
        twin(torch.empty(1, *image_shape, device="meta"))
    return found


def count(layers: Iterable[Layer]) -> Flops:
    """FLOPs of one image through all of these layers."""
    return sum((layer.flops for layer in layers), Flops())


def _layer(name: str, module: nn.Module, inputs: Tensor, outputs: Tensor) -> Layer:
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    groups = 1
    if isinstance(module, nn.Conv2d):
        if isinstance(module.padding, str):
            raise ValueError(f"{name} pads by the name {module.padding!r}; give its padding in pixels")
        stride, padding, groups = module.stride, module.padding, module.groups
    assert isinstance(module.weight, Tensor)
    return Layer(
        name=name,
        weight=tuple(module.weight.shape),
        stride=stride,
        padding=padding,
        groups=groups,
        inputs=tuple(inputs.shape[1:]),
        outputs=tuple(outputs.shape[1:]),
        reads_images=not inputs.requires_grad,
    )
