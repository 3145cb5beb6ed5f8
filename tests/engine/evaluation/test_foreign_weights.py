import argparse
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.evaluation.foreign_weights import Converted, convert, read_foreign
from claf_engine.models.network import NATURAL, Pipeline, build_network
from claf_engine.terms.errors import CheckpointError
from tests.engine.resnets import NUM_CLASSES, WIDTH, foreign_resnet, weights, write

Weights = dict[str, Tensor]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its weights."""
    return tmp_path / "model.pt"


def converted(path: Path, content: Any, arch: str = "resnet18") -> Converted:
    return convert(read_foreign(write(path, content)), arch, path)


def pipeline(found: Converted) -> Pipeline:
    """Our network with the converted weights."""
    network = build_network(found.model, found.num_classes, torch.Generator())
    network.load_state_dict({**network.state_dict(), **found.tensors})
    return network.eval().with_classifier(NATURAL)


def images() -> Tensor:
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(4))


@torch.no_grad()
def logits(model: nn.Module, pictures: Tensor) -> Tensor:
    found: Tensor = model(pictures)
    return found


def renamed(old: str, new: str) -> Weights:
    return {re.sub(old, new, name): tensor for name, tensor in weights().items()}


def changed(**replaced: Any) -> Weights:
    """The weights with some added, replaced, or, where None, taken away; __ stands for a dot."""
    found: dict[str, Any] = dict(weights())
    for name, value in replaced.items():
        found[name.replace("__", ".")] = value
    return {name: value for name, value in found.items() if value is not None}


def test_the_logits_are_those_of_the_foreign_network(file: Path) -> None:
    found = converted(file, weights())
    assert torch.allclose(logits(pipeline(found), images()), logits(foreign_resnet(), images()), atol=1e-5, rtol=1e-5)


def test_width_and_classes_follow_from_the_weights(file: Path) -> None:
    found = converted(file, weights(width=3, num_classes=4))
    assert (found.model.width, found.model.blocks, found.num_classes) == (3, (2, 2, 2, 2), 4)


def test_every_tensor_is_used_and_none_is_made_up(file: Path) -> None:
    found = converted(file, weights())
    assert len(found.tensors) == len(weights())
    assert all(tensor.eq(7).all() for name, tensor in found.tensors.items() if name.endswith("num_batches_tracked"))


@pytest.mark.parametrize(
    "content",
    [
        lambda: renamed("^", "module."),
        lambda: renamed("^", "module.model."),
        lambda: renamed("^", "net."),
        lambda: renamed("^", "backbone."),
        lambda: renamed("^", "_orig_mod."),
        lambda: renamed("shortcut", "downsample"),
        lambda: renamed("^linear", "fc"),
        lambda: {"state_dict": weights()},
        lambda: {"net": renamed("^", "module.")},
        lambda: {"model": weights()},
        lambda: {"model_state_dict": weights(), "epoch": 3},
        lambda: {"state_dict": {"net": weights()}},
    ],
)
def test_names_and_nests_of_published_models_are_understood(file: Path, content: Callable[[], Any]) -> None:
    found = converted(file, content())
    assert torch.equal(logits(pipeline(found), images()), logits(pipeline(converted(file, weights())), images()))


def test_a_file_of_the_format_before_zip_is_read(file: Path) -> None:
    torch.save(weights(), file, _use_new_zipfile_serialization=False)  # noqa: TID251 (reading such files is tested)
    assert read_foreign(file).tensors.keys() == weights().keys()


def test_the_hash_is_that_of_the_file(file: Path) -> None:
    write(file, weights())
    assert read_foreign(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_lies_beside_the_weights_is_told(file: Path) -> None:
    found = converted(file, {"net": weights(), "acc": 93.1, "epoch": 199})
    assert found.notices == ("left aside, because it is no part of the network: acc, epoch",)


def test_without_a_normalising_wrapper_pixels_go_in_as_they_are(file: Path) -> None:
    found = converted(file, weights())
    assert (found.model.mean, found.model.std, found.has_normalisation) == ((0, 0, 0), (1, 1, 1), False)


@pytest.mark.parametrize(("mean", "std"), [("mu", "sigma"), ("mean", "std"), ("normalize.mean", "normalize.std")])
@pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3, 1, 1)])
def test_the_buffers_of_a_normalising_wrapper_are_used(file: Path, mean: str, std: str, shape: tuple[int, ...]) -> None:
    centre, spread = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2471, 0.2435, 0.2616])
    wrapped = {**renamed("^", "model."), mean: centre.view(shape), std: spread.view(shape)}
    found = converted(file, wrapped)
    assert found.has_normalisation
    normalised = (images() - centre.view(3, 1, 1)) / spread.view(3, 1, 1)
    expected = logits(foreign_resnet(), normalised)
    assert torch.allclose(logits(pipeline(found), images()), expected, atol=1e-5, rtol=1e-5)


def test_a_sequential_of_normalisation_and_network_is_understood(file: Path) -> None:
    found = converted(file, {**renamed("^", "1."), "0.mean": torch.full((3,), 0.5), "0.std": torch.full((3,), 0.25)})
    assert found.model.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ({"mu": torch.zeros(3)}, "holds a mean of its normalisation, but not the other half"),
        ({"mu": torch.zeros(4), "sigma": torch.ones(4)}, r"mu of shape \(4,\) is no mean of three channels"),
        ({"mu": torch.zeros(3), "sigma": torch.zeros(3)}, "its normalisation is none"),
        ({"mu": torch.full((3,), torch.nan), "sigma": torch.ones(3)}, "its normalisation is none"),
        ({"mu": torch.zeros(3), "mean": torch.zeros(3)}, "is no mean of three channels"),
    ],
)
def test_a_normalisation_that_is_none_is_refused(file: Path, buffers: Weights, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        converted(file, {**weights(), **buffers})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: changed(layer1__2__conv1__weight=torch.zeros(2, 2, 3, 3)), "unknown: layer1.2.conv1.weight"),
        (lambda: changed(layer5__0__conv1__weight=torch.zeros(2, 2, 3, 3)), "unknown: layer5.0.conv1.weight"),
        (lambda: changed(conv1__bias=torch.zeros(2)), "unknown: conv1.bias"),
        (lambda: changed(attention=torch.zeros(2)), "unknown: attention"),
        (lambda: changed(bn1__weight=None), "missing: encoder.norm.weight"),
        (lambda: changed(layer3__1__bn2__running_var=None), "missing: encoder.blocks.5.norm2.running_var"),
        (lambda: changed(linear__bias=torch.zeros(9)), "of another shape: linear.bias is 9 instead of 10"),
        (
            lambda: changed(conv1__weight=torch.zeros(2, 3, 5, 5)),
            "of another shape: conv1.weight is 2x3x5x5 instead of 2x3x3x3",
        ),
        (lambda: changed(bn1__weight=torch.tensor([1.0, torch.inf])), "not finite: bn1.weight"),
        (lambda: changed(bn1__weight=torch.ones(2, dtype=torch.int64)), "of another type: bn1.weight"),
        (lambda: changed(fc__bias=torch.zeros(10)), "given twice: classifiers.natural.bias"),
    ],
)
def test_whatever_does_not_fit_is_named(file: Path, content: Callable[[], Any], told: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"does not fit resnet18 with the CIFAR stem; {told}")):
        converted(file, content())


def test_all_faults_are_told_in_one_sentence(file: Path) -> None:
    content = changed(extra=torch.zeros(1), bn1__weight=None, linear__bias=torch.zeros(9))
    with pytest.raises(CheckpointError) as caught:
        converted(file, content)
    assert all(word in str(caught.value) for word in ("unknown: extra", "missing: encoder.norm", "linear.bias is 9"))
    assert "\n" not in str(caught.value)


def test_a_deeper_network_is_not_a_resnet18_and_the_rest_of_its_names_are_counted(file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing: .* and \d+ more"):
        converted(file, weights(), "resnet34")


@pytest.mark.parametrize("name", ["conv1.weight", "linear.weight"])
def test_without_the_tensors_that_give_its_size_it_is_no_resnet(file: Path, name: str) -> None:
    content = {key: value for key, value in weights().items() if key != name}
    with pytest.raises(CheckpointError, match=f"is no resnet18 with the usual names: it has no {name}"):
        converted(file, content)


def robustness_layout(**changes: Tensor) -> dict[str, Any]:
    """As MadryLab's robustness saves it: the network, its normalisation, and both again inside the attacker."""
    own, unit = weights(), {"new_mean": torch.full((3, 1, 1), 0.5), "new_std": torch.full((3, 1, 1), 0.25)}
    state = {f"module.model.{name}": tensor for name, tensor in own.items()}
    state |= {f"module.attacker.model.{name}": tensor for name, tensor in own.items()}
    state |= {f"module.normalizer.{name}": tensor for name, tensor in unit.items()}
    state |= {f"module.attacker.normalize.{name}": tensor for name, tensor in unit.items()}
    return {"model": {**state, **changes}, "epoch": 3}


def test_the_layout_of_madrylab_is_read_with_its_normalisation(file: Path) -> None:
    found = converted(file, robustness_layout())
    assert (found.model.mean, found.model.std) == ((0.5,) * 3, (0.25,) * 3)
    theirs = logits(foreign_resnet(), (images() - 0.5) / 0.25)
    assert torch.allclose(logits(pipeline(found), images()), theirs, atol=1e-5, rtol=1e-5)
    assert found.notices[0].endswith("epoch, attacker.*, which is the same network once more")


@pytest.mark.parametrize("name", ["module.attacker.model.bn1.bias", "module.attacker.normalize.new_mean"])
def test_an_attacker_that_holds_another_network_is_refused(file: Path, name: str) -> None:
    other = robustness_layout()["model"][name] + 0.125
    with pytest.raises(CheckpointError, match=f"holds more than one network: {re.escape(name[7:])} is not what"):
        converted(file, robustness_layout(**{name: other}))


def supcon_layout(*, has_classifier: bool) -> dict[str, Any]:
    """As SupContrast saves it: options, an encoder behind DataParallel, a projection head; the classifier apart."""
    network = {f"encoder.module.{name}": tensor for name, tensor in weights().items() if not name.startswith("linear")}
    network |= {"head.0.weight": torch.zeros(4, 16), "head.0.bias": torch.zeros(4)}
    if has_classifier:
        network |= {f"fc.{part}": weights()[f"linear.{part}"] for part in ("weight", "bias")}
    return {"opt": argparse.Namespace(batch_size=256), "model": network, "epoch": 200}


def test_the_layout_of_supcontrast_is_read_and_its_projection_head_left_aside(file: Path) -> None:
    found = converted(file, supcon_layout(has_classifier=True))
    assert torch.allclose(logits(pipeline(found), images()), logits(foreign_resnet(), images()), atol=1e-5, rtol=1e-5)
    assert found.notices == (
        "left aside, because it is no part of the network: opt, epoch, head.*, the projection head",
    )


def test_an_encoder_of_supcontrast_without_a_classifier_is_refused_with_what_it_lacks(file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no classifier to measure; put fc\.weight and fc\.bias"):
        converted(file, supcon_layout(has_classifier=False))


def test_two_networks_in_one_file_are_refused(file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"more than one network: conv1\.weight occurs twice"):
        converted(file, {**renamed("^", "module."), **renamed("^", "net.")})
    with pytest.raises(CheckpointError, match="holds no state dict, or more than one, but a dict of net, state_dict"):
        converted(file, {"net": weights(), "state_dict": weights()})


@pytest.mark.parametrize("content", [3, [], {}, {"epoch": 1}, torch.zeros(3), {"net": {}}])
def test_a_file_without_weights_is_refused(file: Path, content: Any) -> None:
    with pytest.raises(
        CheckpointError, match=r"holds no state dict, .*save `model.state_dict\(\)` in a file of its own"
    ):
        converted(file, content)


def test_what_is_no_tensor_among_the_weights_is_named(file: Path) -> None:
    with pytest.raises(CheckpointError, match="among its weights what is no tensor: version"):
        converted(file, {**weights(), "version": 1})


class Pwned:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


def test_code_in_a_file_is_not_run(file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read as weights alone"):
        converted(file, {**weights(), "x": Pwned(tmp_path / "pwned")})
    assert not (tmp_path / "pwned").exists()


def test_a_whole_pickled_model_is_refused(file: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read as weights alone"):
        converted(file, foreign_resnet())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"PK\x03\x04" + b"\0" * 100,
        lambda data: b"\x80\x02}q\x00.",
        lambda data: b"\x08\0\0\0\0\0\0\0{}",
        lambda data: b"not a model",
    ],
)
def test_a_damaged_file_is_one_sentence(file: Path, damage: Callable[[bytes], bytes]) -> None:
    write(file, weights())
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        convert(read_foreign(file), "resnet18", file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read .*none\.pt: No such file"):
        read_foreign(tmp_path / "none.pt")


def test_weights_of_another_precision_are_converted_and_that_is_told(file: Path) -> None:
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights().items()}
    found = converted(file, half)
    assert found.notices == ("converted weights from float16 to float32",)
    assert {tensor.dtype for tensor in found.tensors.values()} == {torch.float32, torch.int64}


def test_counters_that_old_files_lack_are_added(file: Path) -> None:
    content = {name: tensor for name, tensor in weights().items() if not name.endswith("num_batches_tracked")}
    found = converted(file, content)
    assert len(found.tensors) == len(weights())
    assert torch.allclose(logits(pipeline(found), images()), logits(foreign_resnet(), images()), atol=1e-5, rtol=1e-5)


def test_the_foreign_network_of_these_tests_is_a_resnet18() -> None:
    assert (WIDTH, NUM_CLASSES, len(weights())) == (2, 10, 122)
