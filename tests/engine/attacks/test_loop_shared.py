"""Attacks on a batch that lies in several processes begin where those of one process would."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from claf_engine.attacks import Attack
from claf_engine.attacks.loop import start
from claf_engine.compute.world import Part, World

SPEC = Attack(Fraction(8, 255), Fraction(2, 255), 1)


@pytest.mark.parametrize("changes", [{"start": "uniform"}, {"start": "uniform", "norm": "l2"}, {"start": "gaussian"}])
def test_every_process_begins_at_the_points_of_its_images(changes: dict[str, Any]) -> None:
    spec, images = replace(SPEC, **changes), torch.rand(7, 3, 4, 4)
    whole = torch.Generator().manual_seed(2)
    expected = start(images, spec, whole)
    assert not torch.equal(expected, images)
    for rank in range(3):
        part, stream = Part(World(rank, 3), 7), torch.Generator().manual_seed(2)
        assert_close(start(part.take(images), spec, stream, part), part.take(expected), rtol=0, atol=0)
        assert torch.equal(stream.get_state(), whole.get_state())
