import pytest
import torch
from torch import nn

from claf_engine.config import ModelConfig
from claf_engine.models.architectures import own_encoder
from claf_engine.models.dual_norms import norms_of, second_norms, with_norms
from claf_engine.terms.errors import ConfigError

SMALL = ModelConfig(width=4, blocks=(1,), projection_hidden=8, projection_dim=4)


@pytest.mark.parametrize("architecture", ["resnet", "preact-resnet18"])
def test_two_encoders_share_all_but_their_batch_norms(architecture: str) -> None:
    encoder = own_encoder(SMALL.model_copy(update={"architecture": architecture}))
    norms = second_norms(encoder)
    other = with_norms(encoder, norms)
    own = {id(tensor) for norm in norms_of(encoder) for tensor in (*norm.parameters(), *norm.buffers())}
    assert norms_of(other) == list(norms)
    assert other.state_dict().keys() == encoder.state_dict().keys()
    for name, tensor in encoder.named_parameters():
        assert (other.get_parameter(name) is tensor) == (id(tensor) not in own), name
    images = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(encoder.eval()(images), other.eval()(images)), "as long as their statistics agree"
        encoder.train()(images)
        assert not torch.equal(encoder.eval()(images), other(images))


def test_a_model_without_batch_norm_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="no BatchNorm, of which acl.streams = 'dual' keeps one"):
        second_norms(nn.Linear(2, 2))


def test_a_model_that_cannot_be_copied_is_a_sentence() -> None:
    encoder = nn.Sequential(nn.BatchNorm2d(3))
    encoder.pulses = (number for number in range(2))  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="its Sequential cannot be copied"):
        with_norms(encoder, second_norms(encoder))
