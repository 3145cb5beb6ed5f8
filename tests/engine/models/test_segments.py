import pytest
import torch
from torch import nn

from claf_engine.config import ModelConfig
from claf_engine.models.network import build_network
from claf_engine.models.segments import segments_of, through


@pytest.mark.parametrize("architecture", ["resnet", "resnet50", "preact-resnet18", "wrn-28-10"])
def test_the_segments_of_an_encoder_are_its_forward_pass(architecture: str) -> None:
    config = ModelConfig(architecture=architecture, width=4)
    encoder = build_network(config, 3, torch.Generator().manual_seed(0)).encoder.eval()
    segments, images = segments_of(encoder), torch.rand(2, 3, 16, 16)
    assert len(segments) > 8
    assert torch.equal(through(segments, images), encoder(images))


def test_a_model_without_segments_is_one() -> None:
    model = nn.Linear(2, 2)
    assert segments_of(model) == (model,)
