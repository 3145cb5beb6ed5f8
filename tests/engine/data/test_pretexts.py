import numpy as np
import pytest
import torch
from torch import Tensor

from claf_engine.data.pretexts import all_turns, patches_of, permutations, shuffled, turned, whole_of

GRIDS = (2, 3, 4)
grids = pytest.mark.parametrize("grid", GRIDS)


def images_of(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def slow_shuffle(image: Tensor, order: list[int], grid: int) -> Tensor:
    """Tile by tile and pixel by pixel."""
    (channels, height, width), whole = image.shape, torch.zeros_like(image)
    tall, wide = height // grid, width // grid
    top, left = (height - grid * tall) // 2, (width - grid * wide) // 2
    for place, tile in enumerate(order):
        for channel in range(channels):
            for row in range(tall):
                for column in range(wide):
                    source = top + tile // grid * tall + row, left + tile % grid * wide + column
                    goal = top + place // grid * tall + row, left + place % grid * wide + column
                    whole[(channel, *goal)] = image[(channel, *source)]
    return whole


def test_each_image_is_turned_by_its_own_quarters_as_numpy_turns() -> None:
    images, quarters = images_of(5, 3, 6, 6), torch.tensor([0, 1, 2, 3, 1])
    expected = [np.rot90(image.numpy(), int(k), axes=(1, 2)) for image, k in zip(images, quarters, strict=True)]
    assert np.array_equal(turned(images, quarters).numpy(), np.stack(expected))


def test_a_known_image_is_turned_counter_clockwise() -> None:
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
    assert turned(image, torch.tensor([1])).flatten().tolist() == [2, 4, 1, 3]


@pytest.mark.parametrize("shape", [(4, 3, 6, 6), (4, 1, 5, 8), (4, 3, 9, 4)])
def test_turning_back_gives_the_image_but_for_what_a_turn_leaves_out(shape: tuple[int, ...]) -> None:
    images, quarters = images_of(*shape), torch.arange(4)
    back = turned(turned(images, quarters), -quarters % 4)
    assert torch.equal(back, turned(images, torch.zeros_like(quarters)))
    assert torch.equal(back, images) == (shape[2] == shape[3])


def test_of_an_oblong_the_middle_square_is_turned_and_the_rest_is_black_in_every_turn() -> None:
    turns, quarters = all_turns(images_of(2, 3, 4, 9) + 0.1)
    assert quarters.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert bool((turns[..., :2] == 0).all() and (turns[..., 6:] == 0).all())
    assert bool((turns[..., 2:6] > 0).all())


@grids
@pytest.mark.parametrize("size", [(12, 12), (13, 10), (8, 15), (4, 4)])
def test_tiles_are_put_in_order_as_a_slow_loop_does(grid: int, size: tuple[int, int]) -> None:
    images = images_of(3, 2, *size)
    orders = torch.stack([torch.randperm(grid**2, generator=torch.Generator().manual_seed(k)) for k in range(3)])
    expected = [slow_shuffle(image, order.tolist(), grid) for image, order in zip(images, orders, strict=True)]
    assert torch.equal(shuffled(images, orders), torch.stack(expected))


@grids
def test_the_original_order_gives_the_image_where_its_sides_fit(grid: int) -> None:
    images, order = images_of(2, 3, 12, 24), torch.arange(grid**2).expand(2, -1)
    assert torch.equal(shuffled(images, order), images)


@grids
def test_patches_lie_row_by_row_and_make_the_image_again(grid: int) -> None:
    images = images_of(2, 3, 4 * grid, 5 * grid)
    patches = patches_of(images, grid)
    assert patches.shape == (2, grid**2, 3, 4, 5)
    assert torch.equal(patches[:, 1], images[..., :4, 5:10])
    assert torch.equal(whole_of(patches, images.shape), images)


def test_what_no_patch_covers_is_black_and_lies_at_the_edges() -> None:
    images = images_of(1, 1, 5, 7) + 0.1
    whole = whole_of(patches_of(images, 3), images.shape)
    assert torch.equal(whole[..., 1:4, :6], images[..., 1:4, :6])
    assert float(whole[..., 0, :].sum() + whole[..., 4, :].sum() + whole[..., 6].sum()) == 0


@grids
def test_putting_gradients_together_is_the_adjoint_of_cutting(grid: int) -> None:
    images, shape = images_of(2, 3, 9, 13), (2, grid**2, 3, 9 // grid, 13 // grid)
    weights = images_of(*shape)
    images.requires_grad_(True)
    (expected,) = torch.autograd.grad((patches_of(images, grid) * weights).sum(), images)
    assert torch.equal(whole_of(weights, images.shape), expected)


@grids
def test_all_orders_of_a_grid_are_permutations_no_two_of_which_agree_at_two_places(grid: int) -> None:
    size = grid**2
    orders = permutations(grid, size * (size - 1))
    assert torch.equal(orders.sort(1).values, torch.arange(size).expand_as(orders))
    agreeing = (orders[:, None] == orders[None]).sum(2).fill_diagonal_(0)
    assert int(agreeing.max()) == 1


@grids
def test_the_first_order_is_the_original_one_and_fewer_are_the_first_of_more(grid: int) -> None:
    assert permutations(grid, 1).tolist() == [list(range(grid**2))]
    assert torch.equal(permutations(grid, 5), permutations(grid, 12)[:5])


def test_the_orders_of_a_small_grid_are_these() -> None:
    assert permutations(2, 4).tolist() == [[0, 1, 2, 3], [1, 3, 2, 0], [2, 1, 3, 0], [3, 2, 1, 0]]
