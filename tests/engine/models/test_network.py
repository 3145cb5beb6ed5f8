import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.models.layers import ACTIVATIONS
from claf_engine.models.network import (
    ATTACK_CLASSIFIER,
    CLASSIFIERS,
    NATURAL,
    CosineClassifier,
    Network,
    ProjectionHead,
    build_network,
    reset_classifier,
)
from claf_engine.models.residual import Encoder, ResidualBlock

TINY = ModelConfig(width=4, blocks=(1, 1, 1), projection_hidden=8, projection_dim=5)
NUM_CLASSES = 6


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny_network(seed: int = 0, config: ModelConfig = TINY) -> Network:
    return build_network(config, NUM_CLASSES, seeded(seed))


def images(num: int = 2, size: int = 8) -> Tensor:
    return torch.rand(num, 3, size, size, generator=seeded(1))


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(("num", "size"), [(1, 16), (3, 8), (2, 32)])
@pytest.mark.parametrize(("blocks", "num_features"), [((1,), 4), ((1, 1), 8), ((2, 1, 1), 16), ((1, 1, 1, 1), 32)])
def test_features_have_the_channels_of_the_last_stage(
    blocks: tuple[int, ...], num_features: int, num: int, size: int
) -> None:
    encoder = tiny_network(config=ModelConfig(width=4, blocks=blocks)).encoder
    assert encoder(images(num, size)).shape == (num, num_features)


def test_an_encoder_says_how_many_features_it_gives() -> None:
    encoder = tiny_network().encoder
    assert encoder.num_features == encoder(images()).shape[1]


@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 1), (4, 2), (8, 2)])
def test_a_block_divides_the_resolution_by_its_stride(channels: int, stride: int) -> None:
    assert ResidualBlock(4, channels, stride)(torch.rand(2, 4, 8, 8)).shape == (2, channels, 8 // stride, 8 // stride)


def test_a_block_whose_convolutions_are_silent_passes_its_input_on() -> None:
    block = ResidualBlock(4, 4, 1)
    nn.init.zeros_(block.norm2.weight)
    inputs = torch.randn(2, 4, 8, 8, generator=seeded())
    assert torch.equal(block(inputs), inputs.relu())


def test_projections_have_the_configured_shape() -> None:
    assert tiny_network().project(images(3)).shape == (3, TINY.projection_dim)


def test_projections_have_unit_length() -> None:
    lengths = tiny_network().project(images(5)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(5))


def test_projections_are_those_of_the_encoders_features() -> None:
    network = tiny_network().eval()
    assert torch.equal(network.project(images()), network.projection_head(network.encoder(images())))


def test_a_projection_head_forgets_how_long_its_last_layers_output_is() -> None:
    head = ProjectionHead(4, 8, 3)
    features = torch.randn(2, 4, generator=seeded())
    before = head(features)
    with torch.no_grad():
        for parameter in head.layers[2].parameters():
            parameter.mul_(10)
    torch.testing.assert_close(head(features), before)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_logits_have_one_column_per_class(classifier: str) -> None:
    assert tiny_network().with_classifier(classifier)(images(3)).shape == (3, NUM_CLASSES)


@pytest.mark.parametrize("output", [Network.project, lambda network, x: network.with_classifier(ATTACK_CLASSIFIER)(x)])
def test_outputs_are_fp32_in_autocast(output: Callable[[Network, Tensor], Tensor]) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert output(tiny_network(), images()).dtype == torch.float32


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_pipeline_is_the_encoder_and_its_linear_classifier(classifier: str) -> None:
    network = tiny_network().eval()
    layer = network.classifiers[classifier]
    expected = network.encoder(images()) @ layer.weight.T + layer.bias
    torch.testing.assert_close(network.with_classifier(classifier)(images()), expected)


def test_a_pipeline_shares_the_parameters_of_its_network() -> None:
    network = tiny_network()
    shared = [*network.encoder.parameters(), *network.classifiers[NATURAL].parameters()]
    pipeline = network.with_classifier(NATURAL)
    assert {id(parameter) for parameter in shared} == {id(parameter) for parameter in pipeline.parameters()}


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def counted_encoder(width: int, blocks: tuple[int, ...]) -> int:
    """Parameters of a CIFAR ResNet without its classifier, by hand: convolutions, and two numbers per norm channel."""
    total = 3 * 9 * width + 2 * width
    before = width
    for stage, num_blocks in enumerate(blocks):
        after = width * 2**stage
        for block in range(num_blocks):
            total += 9 * before * after + 2 * after + 9 * after * after + 2 * after
            if block == 0 and stage > 0:
                total += before * after + 2 * after
            before = after
    return total


def test_the_default_encoder_has_the_parameters_of_a_cifar_resnet_18() -> None:
    assert counted_encoder(64, (2, 2, 2, 2)) == 11_168_832
    with torch.device("meta"):
        assert num_parameters(Encoder(ModelConfig())) == 11_168_832


@pytest.mark.parametrize(("width", "blocks"), [(4, (1,)), (8, (2, 1)), (16, (3, 4, 6, 3))])
def test_an_encoder_has_the_parameters_counted_by_hand(width: int, blocks: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert num_parameters(Encoder(ModelConfig(width=width, blocks=blocks))) == counted_encoder(width, blocks)


def test_a_network_adds_the_head_and_three_linear_classifiers() -> None:
    network = tiny_network()
    head = (16 * 8 + 8) + (8 * 5 + 5)
    assert num_parameters(network) == num_parameters(network.encoder) + head + 3 * (16 * NUM_CLASSES + NUM_CLASSES)


def test_equal_seeds_give_equal_networks() -> None:
    assert equal(weights(tiny_network(3)), weights(tiny_network(3)))


def test_different_seeds_give_different_networks() -> None:
    assert not equal(weights(tiny_network(3)), weights(tiny_network(4)))


def test_a_network_does_not_depend_on_the_global_randomness() -> None:
    first = tiny_network()
    torch.rand(1)
    assert equal(weights(first), weights(tiny_network()))


def test_building_a_network_leaves_the_global_randomness_as_it_was() -> None:
    before = torch.get_rng_state()
    tiny_network()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_is_built_on_the_cpu_in_train_mode() -> None:
    network = tiny_network()
    assert {value.device.type for value in network.state_dict().values()} == {"cpu"}
    assert all(module.training for module in network.modules())


def torch_bound(fan_in: int) -> float:
    """He et al. (2015) with the slope that torch gives its convolutions and linear layers, sqrt(5)."""
    return nn.init.calculate_gain("leaky_relu", math.sqrt(5)) * math.sqrt(3 / fan_in)


def initial_weights() -> dict[str, tuple[Tensor, int]]:
    """Each drawn tensor of a network with its fan-in."""
    config = ModelConfig(width=16, blocks=(1, 1), projection_hidden=64, projection_dim=32)
    network = build_network(config, 10, seeded())
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = nn.init._calculate_fan_in_and_fan_out(module.weight)[0]
            found[f"{name}.weight"] = (module.weight.detach(), fan_in)
            if module.bias is not None:
                found[f"{name}.bias"] = (module.bias.detach(), fan_in)
    return found


def test_weights_lie_within_torchs_default_bounds() -> None:
    assert all(values.abs().max() <= torch_bound(fan_in) for values, fan_in in initial_weights().values())


def test_weights_are_uniform_between_torchs_default_bounds() -> None:
    scaled = torch.cat([values.flatten() / torch_bound(fan_in) for values, fan_in in initial_weights().values()])
    uniform = torch.linspace(-1, 1, len(scaled))
    torch.testing.assert_close(scaled.sort().values, uniform, rtol=0, atol=0.03)


def test_batchnorm_starts_as_the_identity_without_history() -> None:
    layers = [module for module in tiny_network().modules() if isinstance(module, nn.BatchNorm2d)]
    inputs = torch.rand(2, 4, 3, 3, generator=seeded())
    torch.testing.assert_close(layers[0].eval()(inputs), inputs, rtol=1e-4, atol=0)
    assert [int(layer.state_dict()["num_batches_tracked"]) for layer in layers] == [0] * len(layers)


def test_pixels_are_normalised_inside_the_encoder() -> None:
    plain = TINY.model_copy(update={"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (TINY.mean, TINY.std))
    features = tiny_network(config=TINY).eval().encoder(images())
    torch.testing.assert_close(features, tiny_network(config=plain).eval().encoder((images() - mean) / std))


def test_resetting_a_classifier_changes_its_weights() -> None:
    network = tiny_network()
    before = weights(network.classifiers[ATTACK_CLASSIFIER])
    reset_classifier(network, ATTACK_CLASSIFIER, seeded(9))
    after = weights(network.classifiers[ATTACK_CLASSIFIER])
    assert not torch.equal(before["weight"], after["weight"])
    assert not torch.equal(before["bias"], after["bias"])


def test_resetting_a_classifier_changes_nothing_else() -> None:
    network = tiny_network()
    before = weights(network)
    reset_classifier(network, ATTACK_CLASSIFIER, seeded(9))
    changed = {name for name, value in weights(network).items() if not torch.equal(value, before[name])}
    assert changed == {f"classifiers.{ATTACK_CLASSIFIER}.weight", f"classifiers.{ATTACK_CLASSIFIER}.bias"}


def test_resetting_a_classifier_keeps_the_parameters_that_an_optimiser_holds() -> None:
    network = tiny_network()
    before = [id(parameter) for parameter in network.classifiers[ATTACK_CLASSIFIER].parameters()]
    reset_classifier(network, ATTACK_CLASSIFIER, seeded(9))
    assert [id(parameter) for parameter in network.classifiers[ATTACK_CLASSIFIER].parameters()] == before


def test_a_reset_depends_on_the_generator_alone() -> None:
    one, other = tiny_network(1), tiny_network(2)
    reset_classifier(one, ATTACK_CLASSIFIER, seeded(9))
    reset_classifier(other, ATTACK_CLASSIFIER, seeded(9))
    assert equal(weights(one.classifiers[ATTACK_CLASSIFIER]), weights(other.classifiers[ATTACK_CLASSIFIER]))


def test_a_reset_leaves_the_global_randomness_as_it_was() -> None:
    network = tiny_network()
    before = torch.get_rng_state()
    reset_classifier(network, ATTACK_CLASSIFIER, seeded(9))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_reset_classifier_lies_within_torchs_default_bounds() -> None:
    network = tiny_network()
    reset_classifier(network, ATTACK_CLASSIFIER, seeded(9))
    largest = max(parameter.abs().max().item() for parameter in network.classifiers[ATTACK_CLASSIFIER].parameters())
    assert 0.9 * torch_bound(16) < largest <= torch_bound(16)


SMOOTH = {
    "relu": lambda x: x.clamp(min=0),
    "silu": lambda x: x / (1 + (-x).exp()),
    "softplus": lambda x: (1 + (10 * x).exp()).log() / 10,
}
"""Each activation by its formula; softplus has the sharpness of Xie et al. (2020)."""


@pytest.mark.parametrize("activation", SMOOTH)
def test_all_activations_of_the_encoder_are_the_configured_one(activation: str) -> None:
    config = ModelConfig(width=4, blocks=(1, 1), activation=activation)
    encoder, act = tiny_network(config=config).encoder.eval(), SMOOTH[activation]
    hidden = act(encoder.norm(encoder.stem((images() - encoder.mean) / encoder.std)))
    for block in encoder.blocks:
        inner = act(block.norm1(block.conv1(hidden)))
        hidden = act(block.norm2(block.conv2(inner)) + block.shortcut(hidden))
    torch.testing.assert_close(encoder(images()), hidden.mean((2, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", SMOOTH)
def test_the_projection_head_keeps_its_relu(activation: str) -> None:
    head = tiny_network(config=ModelConfig(width=4, blocks=(1,), activation=activation)).projection_head
    assert [type(layer) for layer in head.layers] == [nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.parametrize(("activation", "is_smooth"), [("relu", False), ("silu", True), ("softplus", True)])
def test_a_smooth_activation_has_no_kink(activation: str, is_smooth: bool) -> None:
    near_zero = torch.tensor([-1e-4, 1e-4], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(ACTIVATIONS[activation](near_zero.clone()).sum(), near_zero)
    assert (float((slopes[1] - slopes[0]).abs()) < 1e-2) is is_smooth


COSINE = TINY.model_copy(update={"logits": "cosine", "logit_scale": 10.0})


def test_logits_of_cosines_are_scaled_cosines_with_the_prototypes() -> None:
    network = tiny_network(config=COSINE)
    layer, features = network.classifiers[NATURAL], torch.randn(3, 16, generator=seeded(2))
    assert isinstance(layer, CosineClassifier)
    expected = [
        [10 * float(row.dot(prototype)) / float(row.norm() * prototype.norm()) for prototype in layer.weight.detach()]
        for row in features
    ]
    torch.testing.assert_close(layer(features).detach(), torch.tensor(expected))


def test_cosines_know_no_lengths_and_have_no_bias() -> None:
    layer, features = tiny_network(config=COSINE).classifiers[NATURAL], torch.randn(3, 16, generator=seeded(2))
    before = layer(features)
    with torch.no_grad():
        layer.weight.mul_(3)
    torch.testing.assert_close(layer(7 * features), before)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_features_of_no_length_have_logits_of_zero_and_a_finite_gradient() -> None:
    layer, features = tiny_network(config=COSINE).classifiers[NATURAL], torch.zeros(2, 16, requires_grad=True)
    logits = layer(features)
    (gradient,) = torch.autograd.grad(logits.sum(), features)
    assert torch.equal(logits, torch.zeros(2, NUM_CLASSES))
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("config", [TINY, COSINE], ids=["linear", "cosine"])
def test_a_classifier_that_is_reset_is_as_if_it_were_built_then(config: ModelConfig) -> None:
    network = tiny_network(config=config)
    layer = network.classifiers[NATURAL]
    before = weights(layer)
    reset_classifier(network, NATURAL, seeded(5))
    assert not equal(weights(layer), before)
    bound = 1 / math.sqrt(16)
    expected = torch.empty(NUM_CLASSES, 16).uniform_(-bound, bound, generator=seeded(5))
    assert torch.equal(layer.weight, expected)
