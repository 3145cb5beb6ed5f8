from collections.abc import Generator

import pytest
import torch
from torch import Tensor

from claf_engine.attacks import Attack, Gradient, ascent_steps
from claf_engine.compute.world import Part
from claf_engine.events.ticks import Pulse
from claf_engine.training.phases import adversarial as stage_2
from tests.engine.training.phases.variants import Crafted


@pytest.fixture
def crafted(monkeypatch: pytest.MonkeyPatch) -> list[Crafted]:
    """Every attack that stage 2 makes in this test, as it is made; measurements are none of them."""
    seen: list[Crafted] = []

    def spied(
        gradient: Gradient,
        images: Tensor,
        spec: Attack,
        generator: torch.Generator,
        begin: Tensor | None = None,
        part: Part | None = None,
    ) -> Generator[Pulse, None, Tensor]:
        ended = yield from ascent_steps(gradient, images, spec, generator, begin, part)
        seen.append(Crafted(images, begin, ended))
        return ended

    monkeypatch.setattr(stage_2, "ascent_steps", spied)
    return seen
