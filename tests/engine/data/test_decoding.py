import io

import numpy as np
import pytest
from PIL import Image

from claf_engine.data.decoding import Form, Measured, Pixels, Unusable, decode, measure

RED = (200, 30, 60)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P", "YCbCr", "HSV"])
def test_any_mode_of_colour_becomes_three_channels_or_the_gray_of_them(mode: str) -> None:
    image = Image.new("RGB", (8, 8), RED).convert(mode)
    colour, gray = (decode(image, "x", Form(8, 8, channels)) for channels in (3, 1))
    assert isinstance(colour, Pixels)
    assert isinstance(gray, Pixels)
    tolerance = 25 if mode == "P" else 2
    assert np.abs(colour.levels[:, 0, 0].astype(int) - RED).max() <= tolerance
    assert abs(int(gray.levels[0, 0, 0]) - 84) <= tolerance
    assert colour.levels.flags.c_contiguous


def test_a_photograph_for_print_is_read_as_others_see_it() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), RED).convert("CMYK").save(stream, "JPEG", quality=100)
    found = decode(stream.getvalue(), "x", Form(8, 8))
    assert isinstance(found, Pixels)
    assert np.abs(found.levels[:, 4, 4].astype(int) - RED).max() <= 6


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_gray_is_told_by_the_header(mode: str) -> None:
    assert measure(Image.new("RGB", (8, 6), RED).convert(mode), "x") == Measured(8, 6, is_gray=True)


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_more_than_eight_bits_are_refused(mode: str) -> None:
    found = decode(Image.new(mode, (8, 8)), "x.png", Form(8, 8))
    assert found == Unusable(
        "x.png",
        "has more than 8 bits per channel",
        "image x.png has more than 8 bits per channel; save it as 8-bit PNG or JPEG",
    )
