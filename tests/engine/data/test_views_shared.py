"""Views of a batch that lies in several processes: each makes those of its own images that one process would make."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from claf_engine.compute.world import Part, World
from claf_engine.config import ViewsConfig
from claf_engine.data.views import crop_and_flip, make_views, shift_and_flip
from tests.engine.data.test_views import random_images, seeded

CONFIG = ViewsConfig()
Make = Callable[[Tensor, torch.Generator, Part | None], Tensor]
MAKERS: dict[str, Make] = {
    "views": lambda images, stream, part: make_views(images, CONFIG, 2, stream, part),
    "crops": lambda images, stream, part: crop_and_flip(images, CONFIG, stream, part),
    "shifts": lambda images, stream, part: shift_and_flip(images, CONFIG, stream, part),
}


@pytest.mark.parametrize("name", MAKERS)
@given(total=st.integers(1, 13), size=st.integers(2, 5))
def test_every_process_makes_the_views_of_its_images_and_draws_as_much_as_one_alone(
    name: str, total: int, size: int
) -> None:
    images, stream = random_images(total), seeded(5)
    expected, drawn = MAKERS[name](images, stream, None), stream.get_state()
    for rank in range(size):
        part, stream = Part(World(rank, size), total), seeded(5)
        found = MAKERS[name](part.take(images), stream, part)
        assert_close(found, part.take(expected), rtol=0, atol=1e-6)
        assert torch.equal(stream.get_state(), drawn)
