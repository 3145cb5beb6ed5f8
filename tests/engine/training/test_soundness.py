import pytest
import torch
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.models.layers import REGISTER, Pointwise
from claf_engine.terms.errors import ConfigError
from claf_engine.training.soundness import require_sound

LAST = Compute(torch.device("cpu"), "fp32", 1, "channels_last")
FIRST = Compute(torch.device("cpu"), "fp32", 1, "contiguous")


@pytest.fixture
def _avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def gradients(convolution: nn.Conv2d, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Result, gradient by the weights and gradient by the images of the sum of squares."""
    images = images.detach().clone().requires_grad_(True)
    result = convolution(images)
    weights, pixels = torch.autograd.grad(result.square().sum(), (convolution.weight, images))
    return result, weights, pixels


@pytest.mark.parametrize("channels", [2, 3, 4, 7, REGISTER, 12])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("side", [7, 16])
def test_a_pointwise_convolution_is_what_a_loop_over_pixels_gives(
    channels: int, layout: torch.memory_format, side: int
) -> None:
    generator = torch.Generator().manual_seed(channels)
    images = torch.randn(6, channels, side, side, generator=generator)
    plain = Pointwise(channels, 8, 1, 2, bias=False).double()
    kept = images.double()[:, :, ::2, ::2]
    expected = torch.einsum("oi,nihw->nohw", plain.weight[:, :, 0, 0], kept)
    by_weights = torch.einsum("nohw,nihw->oi", 2 * expected, kept)
    by_images = torch.zeros(images.shape, dtype=torch.float64)
    by_images[:, :, ::2, ::2] = torch.einsum("oi,nohw->nihw", plain.weight[:, :, 0, 0], 2 * expected)
    single = Pointwise(channels, 8, 1, 2, bias=False)
    single.load_state_dict(plain.state_dict())
    single.to(memory_format=layout)
    found = gradients(single, images.contiguous(memory_format=layout))
    for one, other in zip(found, (expected, by_weights[:, :, None, None], by_images), strict=True):
        assert torch.allclose(one.double(), other, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("_avx2")
@pytest.mark.parametrize("channels", [2, 7])
def test_a_model_whose_gradients_would_be_wrong_is_refused_with_the_way_out(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, channels, 3), nn.Conv2d(channels, 8, 1, stride=2))
    with pytest.raises(
        ConfigError, match=rf"convolution 1 has a 1x1 kernel, a stride and {channels} channels.*layout="
    ):
        require_sound(model, LAST)
    require_sound(model, FIRST)


@pytest.mark.usefixtures("_avx2")
@pytest.mark.parametrize(
    "sound",
    [
        nn.Conv2d(1, 8, 1, stride=2),
        nn.Conv2d(8, 8, 1, stride=2),
        nn.Conv2d(4, 8, 1),
        nn.Conv2d(4, 8, 3, stride=2),
        Pointwise(4, 8, 1, 2),
    ],
)
def test_a_model_whose_gradients_are_right_is_not_refused(sound: nn.Module) -> None:
    require_sound(sound, LAST)


def test_other_processors_have_other_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    require_sound(nn.Conv2d(4, 8, 1, stride=2), LAST)
