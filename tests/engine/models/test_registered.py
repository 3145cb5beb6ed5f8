from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import MODELS, Plugin, registering
from claf_engine.models.folding import fold
from claf_engine.models.network import NATURAL, Network, build_network
from claf_engine.models.registered import register_model
from claf_engine.terms.errors import ConfigError
from tests.plugins import registries_restored


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


class Scaled(nn.Module):
    """Has parameters that no layer of torch initialises, and a buffer."""

    num_features = 6

    def __init__(self, _config: ModelConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(6))
        self.register_buffer("shift", torch.rand(6))
        self.layer = nn.Linear(3, 6)
        self.norm = nn.LayerNorm(6)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.layer(images.mean((2, 3)))) * self.scale + self.shift


def build(seed: int = 0) -> Network:
    return build_network(ModelConfig(architecture="mine", projection_dim=4), 3, torch.Generator().manual_seed(seed))


def refusal(module: object) -> str:
    register_model("mine")(lambda _: module)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError) as refused:
        build()
    return str(refused.value)


def test_a_registered_encoder_stands_in_the_network() -> None:
    register_model("mine")(Scaled)
    network, images = build(), torch.rand(5, 3, 8, 8)
    assert network.with_classifier(NATURAL)(images).shape == (5, 3)
    assert network.project(images).shape == (5, 4)


def test_its_own_initialisation_comes_from_the_run_s_generator_alone() -> None:
    register_model("mine")(Scaled)
    torch.rand(3)
    one, same, other = build(0).state_dict(), build(0).state_dict(), build(1).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.module.scale"], other["encoder.module.scale"])
    assert not torch.equal(one["classifiers.natural.weight"], other["classifiers.natural.weight"])


def test_building_it_leaves_the_global_generator_as_it_was() -> None:
    register_model("mine")(Scaled)
    before = torch.get_rng_state()
    build()
    assert torch.equal(torch.get_rng_state(), before)


def test_our_own_encoder_draws_what_it_drew_before() -> None:
    """The first draws of the generator are the stem's."""
    network = build_network(ModelConfig(width=4, blocks=(1,)), 3, torch.Generator().manual_seed(5))
    drawn = torch.empty(4, 3, 3, 3).uniform_(-(27**-0.5), 27**-0.5, generator=torch.Generator().manual_seed(5))
    assert torch.equal(network.encoder.stem.weight, drawn)  # type: ignore[arg-type,union-attr]


def test_folding_leaves_it_alone() -> None:
    register_model("mine")(Scaled)
    model = build().with_classifier(NATURAL)
    assert fold(model) is model


def test_encoders_of_two_texts_are_told_apart_by_their_representation() -> None:
    told = []
    for sha256 in ("1" * 64, "2" * 64):
        with registering(Plugin(Path("/a/my.py"), sha256)):
            register_model("mine")(Scaled)
        told.append(repr(build().encoder))
    assert told[0] != told[1]


def test_what_is_no_module_is_refused() -> None:
    assert refusal(3) == "architecture 'mine' builds a int; return a torch.nn.Module"


def test_a_module_that_does_not_say_how_many_features_it_gives_is_refused() -> None:
    sentence = "architecture 'mine' has num_features = None; set it to the length of its features"
    assert refusal(nn.Linear(3, 3)) == sentence


def test_a_module_that_is_not_on_the_cpu_is_refused() -> None:
    module = nn.Linear(3, 3, device="meta")
    module.num_features = 3  # type: ignore[assignment]
    assert refusal(module) == "architecture 'mine' is not built on the CPU; leave its device to the run"


def test_features_of_another_shape_than_promised_are_refused_with_both() -> None:
    module = nn.Flatten()
    module.num_features = 7  # type: ignore[assignment]
    register_model("mine")(lambda _: module)
    with pytest.raises(ConfigError, match=r"gives shape \(2, 12\) for 2 images; .* features of shape \(2, 7\)"):
        build().with_classifier(NATURAL)(torch.rand(2, 3, 2, 2))


def test_what_it_raises_says_whose_it_is() -> None:
    register_model("mine")(lambda _: nn.Linear(3, "x"))  # type: ignore[arg-type]
    with pytest.raises(TypeError) as raised:
        build()
    assert raised.value.__notes__ == [f"raised in the architecture 'mine' of {__name__}"]


def test_an_architecture_that_is_not_registered_is_refused() -> None:
    register_model("mine")(Scaled)
    config = ModelConfig(architecture="mine")
    MODELS.entries.clear()
    with pytest.raises(
        ConfigError, match="unknown architecture 'mine'; use resnet, .* or timm:NAME, or give a --plugin"
    ):
        build_network(config, 3, torch.Generator())
