from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from claf_engine.config import ModelConfig
from claf_engine.config.plugins import load_model
from claf_engine.models.folding import fold
from claf_engine.models.network import NATURAL, Network, build_network
from claf_engine.models.written import WrittenModel, written_model
from claf_engine.terms.errors import ClafError, ConfigError, DataError
from tests.plugins import plugin_file, registries_restored

FILE = """
    import torch
    from torch import nn

    class Noted(nn.Module):
        def forward(self, x):
            raise KeyError("odd")

    def build(num_classes):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, num_classes))

    def whole(num_classes):
        return nn.Sequential(nn.Conv2d(3, num_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def without_arguments(): return build(5)
    def with_defaults(depth=2, *, num_classes=7): return build(num_classes)
    def with_others(depth, num_classes): return build(num_classes)
    def half(num_classes): return build(num_classes).half()
    def a_number(): return 3
    def of_three(): return build(3)
    def a_map(): return nn.Conv2d(3, 5, 3)
    def a_tuple(): return Pair()
    def larger(): return nn.Sequential(nn.Flatten(), nn.Linear(99, 5))
    def not_finite(): return nn.Sequential(nn.Flatten(), nn.Linear(192, 5), Log())
    def odd(): return Noted()

    class Pair(nn.Module):
        def forward(self, x): return x, x

    class Log(nn.Module):
        def forward(self, x): return (x - 100).log()
"""
IMAGE = (3, 8, 8)


@pytest.fixture(autouse=True)
def _file(tmp_path: Path) -> Iterator[None]:
    with registries_restored():
        yield


def named(folder: Path, function: str) -> str:
    return load_model(f"{plugin_file(folder, FILE, 'net.py')}:{function}")


def model(folder: Path, function: str, seed: int = 0) -> WrittenModel:
    return written_model(named(folder, function), 5, IMAGE, torch.Generator().manual_seed(seed))


def network(folder: Path, function: str, seed: int = 0) -> Network:
    config = ModelConfig(architecture=named(folder, function), projection_hidden=8, projection_dim=4)
    return build_network(config, 5, torch.Generator().manual_seed(seed), IMAGE[1:])


@pytest.mark.parametrize("function", ["build", "without_arguments", "with_defaults", "half"])
def test_a_function_may_take_the_number_of_classes_or_nothing(tmp_path: Path, function: str) -> None:
    logits = model(tmp_path, function)(torch.rand(2, *IMAGE))
    assert (logits.shape, logits.dtype) == ((2, 5), torch.float32)


@pytest.mark.parametrize(
    ("function", "kind", "sentence"),
    [
        ("with_others", ConfigError, "net.py:with_others needs depth; it may take num_classes alone"),
        ("a_number", ConfigError, "net.py:a_number builds a int; return a torch.nn.Module"),
        ("of_three", DataError, "net.py:of_three tells 3 classes apart, and the data has 5; give data of its classes"),
        ("a_map", DataError, r"gives shape \(2, 5, 6, 6\) for 2 images; it must give logits \(2, classes\)"),
        ("a_tuple", DataError, "net.py:a_tuple gives a tuple for 2 images; it must give logits"),
        ("larger", DataError, "net.py:larger does not take images of 8x8 pixels and 3 channels: mat1 and mat2 shapes"),
        ("not_finite", DataError, "gives logits that are not finite for images in"),
    ],
)
def test_what_is_no_classifier_of_the_data_is_refused_in_a_sentence(
    tmp_path: Path, function: str, kind: type[ClafError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        model(tmp_path, function)


def test_its_own_weights_come_from_the_generator_alone(tmp_path: Path) -> None:
    torch.rand(3)
    before = torch.get_rng_state()
    one, same, other = (model(tmp_path, "build", seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["module.0.weight"], other["module.0.weight"])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_is_made_of_it_that_gives_its_logits(tmp_path: Path) -> None:
    images, split = torch.rand(2, *IMAGE), network(tmp_path, "build")
    whole = model(tmp_path, "build")
    encoder = split.encoder
    assert isinstance(encoder, WrittenModel)
    assert (encoder.classifier_path, encoder.num_features, split.is_whole) == ("3", 144, False)
    with torch.no_grad():
        torch.testing.assert_close(split.with_classifier(NATURAL)(images), whole(images))
    assert not any(name.startswith("encoder.module.3") for name in split.state_dict())


def test_a_network_of_one_piece_has_no_classifiers_to_train(tmp_path: Path) -> None:
    images, one = torch.rand(2, *IMAGE), network(tmp_path, "whole")
    assert one.is_whole
    assert not list(one.classifiers.parameters())
    with torch.no_grad():
        assert torch.equal(one.with_classifier(NATURAL)(images), one.encoder(images))


def test_it_is_attacked_as_it_is(tmp_path: Path) -> None:
    pipeline = network(tmp_path, "build").with_classifier(NATURAL)
    assert fold(pipeline) is pipeline


def test_models_of_two_texts_are_told_apart_by_their_representation(tmp_path: Path) -> None:
    one = repr(model(tmp_path, "build"))
    other = load_model(f"{plugin_file(tmp_path, FILE + '    # edited', 'net.py')}:build")
    assert repr(written_model(other, 5, IMAGE, torch.Generator())) != one


def test_what_its_forward_pass_raises_says_whose_it_is(tmp_path: Path) -> None:
    name = named(tmp_path, "build")
    module = nn.Linear(1, 1)
    module.forward = lambda _: {}["odd"]  # type: ignore[method-assign]
    with pytest.raises(KeyError) as raised:
        WrittenModel(module, name, 5)(torch.rand(2, *IMAGE))
    assert raised.value.__notes__ == ["raised in the architecture 'net.py:build' of plugin net.py"]


def test_without_the_size_of_the_images_it_cannot_be_built(tmp_path: Path) -> None:
    config = ModelConfig(architecture=named(tmp_path, "build"))
    with pytest.raises(ConfigError, match="net.py:build cannot be built where the size of the images is not known"):
        build_network(config, 5, torch.Generator())


def test_a_model_whose_file_is_not_loaded_says_how_to_name_it() -> None:
    with pytest.raises(
        ConfigError, match="net.py:gone is not loaded; give --model net.py:gone with the way to the file"
    ):
        written_model("net.py:gone", 5, IMAGE, torch.Generator())
