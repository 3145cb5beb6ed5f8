"""Tasks that images set by themselves: turned by quarters, cut into tiles and put together in another order.

All of it moves pixels and changes none, so that a ball around what it gives is the ball around the image. Where sides
do not fit, as those of an oblong for a turn or 32 pixels for three tiles, the middle of the image is taken and the rest
is black, whatever the answer is. Gradients are moved back in the same way.
"""

import torch
from torch import Tensor

from claf_engine.config.pretext import NUM_TURNS

FIELDS: dict[int, tuple[int, tuple[int, ...]]] = {2: (2, (1, 1)), 3: (3, (1, 2)), 4: (2, (1, 1, 0, 0))}
"""By the side k of a grid, how the field of k^2 = p^m elements is built: the prime p, and x^m as a polynomial of lower
powers, whose coefficients stand lowest first. The powers of x are then all elements but zero."""


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Turn the middle square of each image counter-clockwise; what is beside it becomes black.

    Args:
        images: (N, C, H, W).
        quarters: (N,) int64, 0 to 3. `-quarters % 4` turns back.

    Returns:
        (N, C, H, W).
    """
    side = min(images.shape[-2:])
    top, left = (images.shape[-2] - side) // 2, (images.shape[-1] - side) // 2
    square = images[..., top : top + side, left : left + side]
    found = square
    for number in range(1, NUM_TURNS):
        is_turned = (quarters == number).view(-1, 1, 1, 1)
        found = torch.where(is_turned, square.rot90(number, (2, 3)), found)
    return _on_black(found, images.shape, (top, left))


def all_turns(images: Tensor) -> tuple[Tensor, Tensor]:
    """Every image (N, C, H, W) in its four turns (4 N, C, H, W), turn after turn, and by how many quarters (4 N,)."""
    quarters = torch.arange(NUM_TURNS, device=images.device).repeat_interleave(len(images))
    return turned(images.repeat(NUM_TURNS, 1, 1, 1), quarters), quarters


def patches_of(images: Tensor, grid: int) -> Tensor:
    """Cut the middle of images (N, C, H, W) into grid x grid patches (N, grid^2, C, h, w), row by row.

    A patch is as large as fits: h = H // grid, w = W // grid.
    """
    (height, width), channels = _sides(images.shape, grid), images.shape[1]
    top, left = _corner(images.shape, grid)
    middle = images[..., top : top + grid * height, left : left + grid * width]
    cut = middle.reshape(len(images), channels, grid, height, grid, width)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(len(images), grid**2, channels, height, width)


def whole_of(patches: Tensor, shape: torch.Size) -> Tensor:
    """Put patches (N, grid^2, C, h, w) together to images of a shape (N, C, H, W); the inverse of `patches_of`.

    What no patch covers is black.
    """
    grid = round(patches.shape[1] ** 0.5)
    height, width = patches.shape[-2:]
    rows = patches.view(len(patches), grid, grid, *patches.shape[2:]).permute(0, 3, 1, 4, 2, 5)
    middle = rows.reshape(len(patches), shape[1], grid * height, grid * width)
    return _on_black(middle, shape, _corner(shape, grid))


def shuffled(images: Tensor, orders: Tensor) -> Tensor:
    """Put the tiles of each image into another order.

    Args:
        images: (N, C, H, W).
        orders: (N, grid^2) int64; the tile at place i of the result is tile orders[:, i] of the image.

    Returns:
        (N, C, H, W); what no tile covers is black.
    """
    patches = patches_of(images, round(orders.shape[1] ** 0.5))
    chosen = patches[torch.arange(len(images), device=images.device)[:, None], orders]
    return whole_of(chosen, images.shape)


def permutations(grid: int, count: int) -> Tensor:
    """Orders of grid x grid tiles that are as unlike each other as so many can be; the first one is the original order.

    With the n = grid^2 tiles numbered by the elements of the field of n elements, number j puts tile g^j x + j at place
    x, where g generates the field and the second j stands for element j mod n. These are all n (n - 1) maps a x + b, as
    n and n - 1 have no common divisor. No two of them agree at more than one place, which more than n (n - 1)
    permutations never can (Frankl and Deza 1977). No search and nothing random is needed.

    Args:
        grid: 2, 3 or 4.
        count: at most n (n - 1).

    Returns:
        (count, n) int64.
    """
    prime, overflow = FIELDS[grid]
    degree, size = len(overflow), grid**2
    elements = [tuple(number // prime**place % prime for place in range(degree)) for number in range(size)]
    numbers = {element: number for number, element in enumerate(elements)}
    found, scaled = [], elements
    for number in range(count):
        shift = elements[number % size]
        found.append([numbers[_added(element, shift, prime)] for element in scaled])
        scaled = [_added((0, *each[:-1]), tuple(each[-1] * over for over in overflow), prime) for each in scaled]
    return torch.tensor(found, dtype=torch.int64).reshape(count, size)


def _added(one: tuple[int, ...], other: tuple[int, ...], prime: int) -> tuple[int, ...]:
    """The sum of two polynomials, coefficient by coefficient."""
    return tuple((first + second) % prime for first, second in zip(one, other, strict=True))


def _sides(shape: torch.Size, grid: int) -> tuple[int, int]:
    """Height and width of a patch."""
    return shape[-2] // grid, shape[-1] // grid


def _corner(shape: torch.Size, grid: int) -> tuple[int, int]:
    """Where the patches begin: row and column."""
    height, width = _sides(shape, grid)
    return (shape[-2] - grid * height) // 2, (shape[-1] - grid * width) // 2


def _on_black(middle: Tensor, shape: torch.Size, corner: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) with this in them at a corner, and black elsewhere."""
    if middle.shape[-2:] == shape[-2:]:
        return middle
    (top, left), (height, width) = corner, middle.shape[-2:]
    whole = middle.new_zeros(shape)
    whole[..., top : top + height, left : left + width] = middle
    return whole
