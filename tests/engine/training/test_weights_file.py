from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from claf_engine.runs.header import FORMAT_KEY
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.weights_file import fitted, known, read_weights
from tests.engine.resnets import write


class Net(nn.Module):
    """Names of wrappers are its own: "model.0.weight"."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.fc = nn.Linear(3, 2)


def weights() -> dict[str, Tensor]:
    return {name: torch.full_like(tensor, 2) for name, tensor in Net().state_dict().items()}


def fit(found: dict[str, Tensor], **options: tuple[str, ...]) -> dict[str, Tensor]:
    return fitted(Net().state_dict(), found, Path("w.pt"), "net.py:build", **options)


def complaint(found: dict[str, Tensor], **options: tuple[str, ...]) -> str:
    with pytest.raises(CheckpointError) as refused:
        fit(found, **options)
    return str(refused.value)


def test_safetensors_and_a_pickle_of_weights_are_read_alike(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "w.safetensors")
    plain = write(tmp_path / "w.pt", {"state_dict": weights(), "epoch": 3})
    one, other = read_weights(tmp_path / "w.safetensors"), read_weights(plain)
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in weights())
    assert (one.left_aside, other.left_aside) == ((), ("epoch",))
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    "wrapper", ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.", "net."]
)
def test_what_wraps_all_of_a_file_does_not_matter(wrapper: str) -> None:
    found = fit({wrapper + name: tensor for name, tensor in weights().items()})
    assert found.keys() == weights().keys()


def test_what_compiles_a_part_does_not_matter() -> None:
    found = {name.replace("model.0", "model._orig_mod.0"): tensor for name, tensor in weights().items()}
    assert fit(found).keys() == weights().keys()


def test_what_wraps_the_model_and_not_the_file_does_not_matter() -> None:
    wanted = {f"module.{name}": tensor for name, tensor in weights().items()}
    assert fitted(wanted, weights(), Path("w.pt"), "m").keys() == wanted.keys()


def test_weights_of_another_type_become_those_of_the_model() -> None:
    found = fit({name: t.half() if t.is_floating_point() else t for name, t in weights().items()})
    assert found["fc.weight"].dtype == torch.float32


def test_counters_of_old_files_may_be_missing() -> None:
    assert "model.1.num_batches_tracked" not in fit(
        {name: tensor for name, tensor in weights().items() if not name.endswith("num_batches_tracked")}
    )


def test_all_that_does_not_fit_is_told_in_one_sentence() -> None:
    found = weights() | {"extra": torch.ones(1), "fc.bias": torch.ones(5), "model.0.bias": torch.full((3,), torch.nan)}
    del found["model.0.weight"]
    assert complaint(found) == (
        "w.pt does not fit net.py:build; unknown: extra; missing: model.0.weight; of another shape: fc.bias is 5 "
        "instead of 2; not finite: model.0.bias"
    )


def test_a_classifier_of_other_classes_may_be_left_out() -> None:
    found = weights() | {"fc.weight": torch.ones(7, 3), "fc.bias": torch.ones(7)}
    fitting = fit(found, optional=("fc.weight", "fc.bias"))
    assert fitting.keys() == weights().keys() - {"fc.weight", "fc.bias"}
    assert "of another shape: fc.weight is 7x3 instead of 2x3" in complaint(found)


def test_one_name_twice_is_refused() -> None:
    found = weights() | {"_orig_mod.fc.bias": torch.ones(2)}
    del found["fc.weight"]
    assert complaint(found) == "w.pt holds more than one network: fc.bias occurs twice in it"


def test_a_checkpoint_of_ours_is_no_file_of_weights(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "w.safetensors", {FORMAT_KEY: "1"})
    with pytest.raises(CheckpointError, match="w.safetensors is a checkpoint of claf-tui and knows its own model"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", b"hello"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"w{suffix}"):
        read_weights(path)


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    save_file({}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_weights(tmp_path / "w.safetensors")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read .*none\.pt"):
        read_weights(tmp_path / "none.pt")


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_what_a_model_does_without_is_left_out(wrapper: str) -> None:
    """Published weights of torchvision's Inception have the classifiers that only help to train it."""
    found = {wrapper + name: torch.ones(1) for name in ("fc.bias", "AuxLogits.fc.bias", "aux1.fc.bias")}
    assert list(known(found, ("AuxLogits.", "aux1."))) == [f"{wrapper}fc.bias"]
    assert known(found, ()).keys() == found.keys()
