import numpy as np
import pytest
from rich.segment import Segment

from claf_tui.widgets.half_blocks import UPPER_HALF, half_blocks, resized


def cells(lines: list[list[Segment]]) -> list[list[tuple[object, object]]]:
    """Colours above and below of every cell."""
    found = []
    for line in lines:
        row: list[tuple[object, object]] = []
        for segment in line:
            style = segment.style
            assert style is not None
            assert style.color is not None
            assert style.bgcolor is not None
            pair = tuple(style.color.get_truecolor()), tuple(style.bgcolor.get_truecolor())
            row += [pair] * len(segment.text)
        found.append(row)
    return found


def picture(height: int = 32, width: int = 32) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)


def test_every_cell_shows_two_pixels_one_above_the_other() -> None:
    shown, levels = cells(half_blocks(picture(), 16, 32)), picture()
    assert len(shown) == 16
    for row, line in enumerate(shown):
        assert len(line) == 32
        for column, (upper, lower) in enumerate(line):
            assert upper == tuple(levels[:, 2 * row, column])
            assert lower == tuple(levels[:, 2 * row + 1, column])


def test_a_smaller_picture_has_the_means_of_areas() -> None:
    levels = picture().astype(float)
    means = levels.reshape(3, 16, 2, 16, 2).mean((2, 4))
    assert np.allclose(resized(levels, 16, 16), means)


def test_a_larger_picture_repeats_pixels() -> None:
    levels = picture(8, 8)
    assert np.array_equal(resized(levels, 32, 32), levels.repeat(4, 1).repeat(4, 2))


@pytest.mark.parametrize(("height", "width"), [(20, 24), (7, 5), (33, 64), (1, 1)])
def test_resizing_keeps_the_mean_and_the_range(height: int, width: int) -> None:
    levels = picture()
    found = resized(levels, height, width)
    assert found.shape == (3, height, width)
    assert found.mean() == pytest.approx(levels.mean())
    assert levels.min() <= found.min() + 1e-9
    assert found.max() <= levels.max() + 1e-9


def test_cells_of_one_colour_are_one_segment() -> None:
    plain = np.zeros((3, 8, 8), np.uint8)
    plain[:, :, 4:] = 200
    assert [[segment.text for segment in line] for line in half_blocks(plain, 4, 8)] == [[UPPER_HALF * 4] * 2] * 4


def test_levels_beyond_the_range_are_cut() -> None:
    levels = np.array([-50.0, 300.0]).reshape(1, 2, 1).repeat(3, 0)
    assert cells(half_blocks(levels, 1, 1)) == [[((0, 0, 0), (255, 255, 255))]]


def test_a_gray_picture_looks_like_the_same_one_in_three_channels() -> None:
    gray = picture()[:1]
    assert half_blocks(gray, 8, 16) == half_blocks(np.repeat(gray, 3, axis=0), 8, 16)
