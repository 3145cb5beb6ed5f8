import base64
import io

import numpy as np
import pytest
from PIL import Image

from claf_tui.reports.pictures import MAX_SHOWN, amplified, example_grid, picture
from tests.tui.widgets.pages import page_of


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_holds_its_levels_exactly(channels: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (channels, 50, 70), dtype=np.uint8)
    element = picture(levels, "a <cat>")
    data = element.split("base64,")[1].split('"')[0]
    opened = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(
        opened if channels == 1 else opened.transpose(2, 0, 1), levels[0] if channels == 1 else levels
    )
    assert 'alt="a &lt;cat&gt;"' in element


def test_a_change_is_shown_as_strong_as_fits_around_grey() -> None:
    clean = np.full((1, 1, 2, 2), 100, np.uint8)
    attacked = clean.copy()
    attacked[0, 0, 0] = 110, 92
    found = amplified(clean, attacked)
    assert found.factor == 12
    assert found.pictures[0, 0].tolist() == [[248, 32], [128, 128]]


def test_no_change_is_grey() -> None:
    clean = np.zeros((1, 3, 2, 2), np.uint8)
    assert (amplified(clean, clean).pictures == 128).all()


def test_each_example_shows_clean_change_and_attacked_image_and_how_it_fared() -> None:
    text = example_grid(page_of(number=0))
    assert text.count("<img ") == 3 * min(MAX_SHOWN, 8)
    assert "disc" in text
    assert "broken by the attack" in text
