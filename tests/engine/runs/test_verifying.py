from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.models.hashing import hash_tensors
from claf_engine.runs.verifying import TORCH_NAMES, verify_steps
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.checkpoint import load_checkpoint
from tests.engine.runs.test_header import METADATA, write

EARLIER = Path("tests/golden/earlier_run/checkpoints/step-000000015.safetensors")
"""A checkpoint that an earlier version has written."""


def test_a_checkpoint_as_it_was_written_is_whole() -> None:
    found = exhaust(verify_steps(EARLIER))
    assert found.is_whole
    assert found.weights.found == load_checkpoint(EARLIER)[0].weights_sha256


@pytest.mark.parametrize("place", [-1, -5000])
def test_one_altered_byte_is_found(tmp_path: Path, place: int) -> None:
    data = bytearray(EARLIER.read_bytes())
    data[place] ^= 1
    path = tmp_path / EARLIER.name
    path.write_bytes(data)
    assert not exhaust(verify_steps(path)).whole.agrees


def test_altered_metadata_are_found_and_leave_the_weights_as_they_are(tmp_path: Path) -> None:
    data = EARLIER.read_bytes()
    path = tmp_path / EARLIER.name
    path.write_bytes(data.replace(b'"claf.loss_count":"', b'"claf.loss_count":"1', 1).replace(b"  ", b" ", 1))
    found = exhaust(verify_steps(path))
    assert found.weights.agrees
    assert not found.whole.agrees


def test_every_type_is_hashed_under_the_name_that_torch_gives_it(tmp_path: Path) -> None:
    tensors = {
        f"network.{name}": torch.ones(3).to(getattr(torch, torch_name)) for name, torch_name in TORCH_NAMES.items()
    }
    path = tmp_path / "step-1.safetensors"
    save_file(tensors, path, METADATA)
    expected = hash_tensors({name.removeprefix("network."): tensor for name, tensor in tensors.items()})
    assert exhaust(verify_steps(path)).weights.found == expected


def test_a_file_that_states_no_hash_agrees_with_none(tmp_path: Path) -> None:
    found = exhaust(verify_steps(write(tmp_path, {**METADATA, "claf.sha256": "{", "claf.weights_sha256": "7"})))
    assert (found.weights.stated, found.whole.stated) == ("7", "")
    assert not found.is_whole


def test_pulses_tell_how_many_bytes_are_hashed(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert list(verify_steps(path))[-1] == Pulse("hashing", 40, 40)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "step-1.safetensors"
    path.write_bytes(b"half")
    with pytest.raises(CheckpointError):
        exhaust(verify_steps(path))
