import itertools
import math

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from claf_engine.config import ViewsConfig
from claf_engine.data import views
from claf_engine.data.views import (
    Jitter,
    apply_jitter,
    crop_and_flip,
    drop_colour,
    make_views,
    resample,
    scale_colour,
    shift_and_flip,
    shift_hue,
)
from tests.properties import examples

PLAIN = ViewsConfig(crop_scale=(1.0, 1.0), flip=0.0, jitter=0.0, grayscale=0.0)
ADJUST = (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)
TOLERANCE = 1e-4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(num: int = 6, height: int = 8, width: int = 8, seed: int = 0) -> Tensor:
    return torch.rand(num, 3, height, width, generator=seeded(seed))


def difficult_images() -> Tensor:
    """Every mixture of 0, a half and 1: black, white, grays, primaries and ties between two channels."""
    colours = torch.tensor(list(itertools.product((0.0, 0.5, 1.0), repeat=3)))
    return colours.T.reshape(1, 3, 3, 9).repeat(6, 1, 1, 1)


def close(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, atol=TOLERANCE, rtol=0)


def slow_resample(image: Tensor, box: list[float], flip: bool) -> Tensor:
    """Bilinear interpolation at the centre of every output pixel, one by one; the edge is repeated outwards."""
    _, height, width = image.shape
    output = torch.empty_like(image)
    for row, column in itertools.product(range(height), range(width)):
        across = (width - 1 - column if flip else column) + 0.5
        x = min(max((box[0] + box[2] * across / width) * width - 0.5, 0), width - 1)
        y = min(max((box[1] + box[3] * (row + 0.5) / height) * height - 0.5, 0), height - 1)
        left, top = math.floor(x), math.floor(y)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        upper = image[:, top, left] * (1 - x + left) + image[:, top, right] * (x - left)
        lower = image[:, bottom, left] * (1 - x + left) + image[:, bottom, right] * (x - left)
        output[:, row, column] = upper * (1 - y + top) + lower * (y - top)
    return output


def test_views_have_a_place_for_image_and_view() -> None:
    made = make_views(random_images(5, 8, 12), ViewsConfig(), 3, seeded())
    assert made.shape == (5, 3, 3, 8, 12)
    assert made.dtype == torch.float32


@examples(20)
@given(st.integers(0, 2**31))
def test_views_are_images(seed: int) -> None:
    made = make_views(random_images(seed=seed), ViewsConfig(hue=0.5, brightness=1.0, contrast=1.0), 2, seeded(seed))
    assert made.min() >= 0
    assert made.max() <= 1


def test_without_augmentation_a_view_is_the_image() -> None:
    images = random_images(7)
    made = make_views(images, PLAIN, 2, seeded())
    assert torch.allclose(made[:, 0], images, atol=1e-6)
    assert torch.allclose(made[:, 1], images, atol=1e-6)


def test_the_images_are_not_modified() -> None:
    images = random_images()
    before = images.clone()
    make_views(images, ViewsConfig(), 2, seeded())
    crop_and_flip(images, ViewsConfig(), seeded())
    assert torch.equal(images, before)


def test_every_image_and_every_view_draws_its_own_parameters() -> None:
    same = random_images(1).expand(8, -1, -1, -1)
    made = make_views(same, ViewsConfig(), 2, seeded()).flatten(0, 1).flatten(1)
    assert (torch.cdist(made, made) + torch.eye(16)).min() > 1e-3


def test_the_same_stream_makes_the_same_views() -> None:
    images = random_images()
    assert torch.equal(
        make_views(images, ViewsConfig(), 2, seeded(3)),
        make_views(images, ViewsConfig(), 2, seeded(3)),
    )


def test_another_stream_makes_other_views() -> None:
    images = random_images()
    assert not torch.equal(
        make_views(images, ViewsConfig(), 2, seeded(3)),
        make_views(images, ViewsConfig(), 2, seeded(4)),
    )


@pytest.mark.parametrize("make", [lambda *a: make_views(a[0], a[1], 2, a[2]), crop_and_flip])
def test_what_is_drawn_does_not_depend_on_the_images(make) -> None:  # type: ignore[no-untyped-def]
    first, second = seeded(), seeded()
    make(random_images(), ViewsConfig(), first)
    make(torch.zeros(6, 3, 8, 8), ViewsConfig(), second)
    assert torch.equal(first.get_state(), second.get_state())


def test_nothing_is_recorded_for_a_gradient() -> None:
    images = random_images().requires_grad_()
    assert not make_views(images, ViewsConfig(), 2, seeded()).requires_grad
    assert not crop_and_flip(images, ViewsConfig(), seeded()).requires_grad


def test_a_certain_flip_mirrors_every_image() -> None:
    images = random_images()
    flipped = crop_and_flip(images, PLAIN.model_copy(update={"flip": 1.0}), seeded())
    assert torch.allclose(flipped, images.flip(3), atol=1e-6)


def test_half_of_the_images_are_flipped() -> None:
    images = random_images(1).expand(1000, -1, -1, -1)
    flipped = crop_and_flip(images, PLAIN.model_copy(update={"flip": 0.5}), seeded())
    assert 430 < (flipped - images).abs().amax((1, 2, 3)).gt(0.01).sum() < 570


@pytest.mark.parametrize("shape", [(8, 8), (5, 9)])
def test_a_crop_agrees_with_a_slow_reference(shape: tuple[int, int]) -> None:
    images = random_images(6, *shape)
    corners = torch.rand(6, 2, generator=seeded(1)) * 0.5
    boxes = torch.cat((corners, (1 - corners) * torch.rand(6, 2, generator=seeded(2))), 1)
    flips = torch.tensor([True, False] * 3)
    made = resample(images, boxes, flips)
    for index in range(6):
        slow = slow_resample(images[index], boxes[index].tolist(), bool(flips[index]))
        assert torch.allclose(made[index], slow, atol=1e-5)


@examples(30)
@given(st.integers(0, 2**31), st.sampled_from([(32, 32), (24, 32), (40, 32)]), st.floats(0.05, 1.0))
def test_crops_lie_inside_the_image_with_the_asked_area_and_ratio(
    seed: int, shape: tuple[int, int], smallest: float
) -> None:
    config = ViewsConfig(crop_scale=(smallest, 1.0))
    draws = torch.rand(50, 5, generator=seeded(seed))
    boxes, _ = views._draw_crops(draws, config, torch.Size((50, 3, *shape)))
    left, top, width, height = boxes.unbind(1)
    ratio = (width * shape[1]) / (height * shape[0])
    assert boxes.min() >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-6
    assert (width * height).min() >= smallest - 1e-5
    assert ratio.min() >= 3 / 4 - 1e-5
    assert ratio.max() <= 4 / 3 + 1e-5


def test_a_crop_of_an_extreme_format_still_lies_inside_the_image() -> None:
    images = random_images(4, 4, 16)
    made = crop_and_flip(images, ViewsConfig(crop_scale=(0.9, 1.0)), seeded())
    assert made.isfinite().all()
    assert made.min() >= images.min()
    assert made.max() <= images.max()


def test_crop_and_flip_leaves_colours_alone() -> None:
    colour = torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1).expand(6, 3, 8, 8)
    assert torch.allclose(crop_and_flip(colour, ViewsConfig(), seeded()), colour, atol=1e-6)


@pytest.mark.parametrize("images", [random_images(), difficult_images()], ids=["random", "difficult"])
@pytest.mark.parametrize("operation", [0, 1, 2], ids=["brightness", "contrast", "saturation"])
def test_a_blend_agrees_with_torchvision(images: Tensor, operation: int) -> None:
    factors = torch.tensor([0.0, 0.4, 0.8, 1.0, 1.3, 2.0])
    made = scale_colour(images, factors, torch.full((6,), operation))
    for index in range(6):
        assert close(made[index], ADJUST[operation](images[index], float(factors[index])))


@pytest.mark.parametrize("images", [random_images(), difficult_images()], ids=["random", "difficult"])
def test_a_hue_shift_agrees_with_torchvision(images: Tensor) -> None:
    turns = torch.tensor([-0.5, -0.23, -0.1, 0.0, 0.1, 0.5])
    made = shift_hue(images, turns)
    for index in range(6):
        assert close(made[index], reference.adjust_hue(images[index], float(turns[index])))


def test_dropped_colour_agrees_with_torchvision() -> None:
    images = random_images()
    chosen = torch.tensor([True, False] * 3)
    made = drop_colour(images, chosen)
    assert close(made[0::2], reference.rgb_to_grayscale(images[0::2], 3))
    assert torch.equal(made[1::2], images[1::2])


@pytest.mark.parametrize("hue_place", range(4))
def test_jitter_in_any_order_agrees_with_torchvision(hue_place: int) -> None:
    orders = list(itertools.permutations(range(3)))
    images = random_images(6)
    factors = 0.6 + 0.8 * torch.rand(6, 3, generator=seeded(1))
    turns = torch.rand(6, generator=seeded(2)) - 0.5
    made = apply_jitter(images, Jitter(factors, torch.tensor(orders), turns), hue_place)
    for index, order in enumerate(orders):
        expected = images[index]
        for operation in (*order[:hue_place], 3, *order[hue_place:]):
            if operation == 3:
                expected = reference.adjust_hue(expected, float(turns[index]))
            else:
                expected = ADJUST[operation](expected, float(factors[index, operation]))
        assert close(made[index], expected)


def test_hue_comes_in_each_place_for_a_quarter_of_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt = []

    def record(images: Tensor, jitter: Jitter, hue_place: int) -> Tensor:
        dealt.append((hue_place, len(images), len(jitter.turns)))
        return images

    monkeypatch.setattr(views, "apply_jitter", record)
    make_views(random_images(8), ViewsConfig(), 2, seeded())
    assert dealt == [(0, 4, 4), (1, 4, 4), (2, 4, 4), (3, 4, 4)]


def test_jitter_draws_from_the_asked_ranges() -> None:
    config = ViewsConfig(jitter=1.0, brightness=0.1, contrast=0.2, saturation=0.3, hue=0.05)
    jitter, _ = views._draw_colours(torch.rand(2000, 9, generator=seeded()), config)
    reach = (jitter.factors - 1).abs().amax(0)
    assert reach.tolist() == pytest.approx([0.1, 0.2, 0.3], rel=0.02)
    assert jitter.turns.abs().max().item() == pytest.approx(0.05, rel=0.02)


def test_the_other_three_operations_come_in_every_order() -> None:
    jitter, _ = views._draw_colours(torch.rand(6000, 9, generator=seeded()), ViewsConfig())
    _, counts = jitter.order.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 850


@pytest.mark.parametrize("probability", [0.0, 0.8, 1.0])
def test_jitter_happens_as_often_as_asked(probability: float) -> None:
    images = random_images(1, 4, 4).expand(2000, -1, -1, -1)
    made = make_views(images, PLAIN.model_copy(update={"jitter": probability}), 1, seeded())[:, 0]
    changed = (made - images).abs().amax((1, 2, 3)).gt(1e-4).float().mean().item()
    assert changed == pytest.approx(probability, abs=0.04)


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_colour_is_dropped_as_often_as_asked(probability: float) -> None:
    images = random_images(1, 4, 4).expand(2000, -1, -1, -1)
    made = make_views(images, PLAIN.model_copy(update={"grayscale": probability}), 1, seeded())[:, 0]
    gray = (made.amax(1) - made.amin(1)).amax((1, 2)).lt(1e-5).float().mean().item()
    assert gray == pytest.approx(probability, abs=0.04)


def test_a_view_stays_with_its_image() -> None:
    images = torch.linspace(0, 1, 7).view(-1, 1, 1, 1).expand(7, 3, 4, 4)
    config = ViewsConfig(jitter=0.0, grayscale=0.0)
    assert torch.allclose(make_views(images, config, 3, seeded()), images[:, None].expand(-1, 3, -1, -1, -1), atol=1e-6)


def test_a_single_image_and_a_single_view_work() -> None:
    assert make_views(random_images(1), ViewsConfig(), 1, seeded()).shape == (1, 1, 3, 8, 8)


def shifted(images: torch.Tensor, flip: float = 0.0, seed: int = 0) -> torch.Tensor:
    return shift_and_flip(images, ViewsConfig(flip=flip), torch.Generator().manual_seed(seed))


def test_a_shifted_image_is_the_image_moved_by_whole_pixels() -> None:
    image = torch.rand(1, 3, 12, 12) + 0.1
    padded = torch.nn.functional.pad(image, [4] * 4)
    places = [padded[..., down : down + 12, right : right + 12] for down in range(9) for right in range(9)]
    moved = [shifted(image, seed=seed) for seed in range(20)]
    assert all(any(torch.equal(view, place) for place in places) for view in moved)
    assert len({view.numpy().tobytes() for view in moved}) > 5


def test_every_image_of_a_batch_is_shifted_by_itself() -> None:
    views = shifted(torch.rand(1, 3, 12, 12).expand(16, -1, -1, -1))
    assert len({view.numpy().tobytes() for view in views}) > 5


def test_a_flip_mirrors_the_shifted_image() -> None:
    image = torch.rand(1, 3, 12, 12)
    assert torch.equal(shifted(image, flip=1.0), shifted(image).flip(3))


def test_views_of_gray_images_are_those_of_the_same_images_in_three_channels() -> None:
    images = random_images(5)[:, :1]
    gray = make_views(images, ViewsConfig(), 2, seeded(4))
    coloured = make_views(images.expand(-1, 3, -1, -1).contiguous(), ViewsConfig(), 2, seeded(4))
    assert gray.shape == (5, 2, 1, 8, 8)
    # The luma weights of torchvision add up to 0.9999.
    assert torch.allclose(gray, coloured[:, :, :1], atol=1e-3)


def test_a_view_of_a_gray_image_is_no_longer_the_image() -> None:
    images = random_images(2)[:, :1]
    config = ViewsConfig(crop_scale=(1.0, 1.0), flip=0.0, jitter=1.0)
    assert not torch.allclose(make_views(images, config, 1, seeded())[:, 0], images, atol=0.01)
