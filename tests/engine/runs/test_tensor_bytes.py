import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claf_engine.runs.header import TensorInfo, read_info
from claf_engine.runs.tensor_bytes import open_tensors
from claf_engine.terms.errors import CheckpointError, CheckpointGone
from tests.engine.runs.test_header import METADATA, TENSORS, write


def raw(folder: Path, header: Any, data: bytes = b"") -> Path:
    """A file with this header, whatever safetensors would say of it."""
    path, text = folder / "step-1.safetensors", json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_pieces_are_the_bytes_of_the_tensor(tmp_path: Path) -> None:
    with open_tensors(write(tmp_path)) as file:
        for name, values in TENSORS.items():
            assert b"".join(file.pieces(name, 5)) == values.tobytes()


def test_no_piece_is_larger_than_asked_for(tmp_path: Path) -> None:
    with open_tensors(write(tmp_path)) as file:
        assert [len(piece) for piece in file.pieces("network.weight", 10)] == [10, 10, 4]


def test_tensors_and_metadata_are_those_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path)
    with open_tensors(path) as file:
        found = tuple(TensorInfo(item.name, item.shape, item.dtype) for item in file.tensors.values())
        assert found == read_info(path).tensors
        assert file.metadata == METADATA
        assert all(info.num_bytes == file.tensors[info.name].num_bytes for info in found)


PLACE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"w": 7},
        {"w": {}},
        {"w": {**PLACE, "shape": [-1]}},
        {"w": {**PLACE, "shape": [3]}},
        {"w": {**PLACE, "dtype": "Q7"}},
        {"w": {**PLACE, "data_offsets": [0]}},
        {"w": {**PLACE, "data_offsets": [-8, 0]}},
        {"w": {**PLACE, "shape": [2.0]}},
        {"__metadata__": "odd", "w": PLACE},
    ],
)
def test_a_header_that_is_none_is_damage(tmp_path: Path, header: Any) -> None:
    with pytest.raises(CheckpointError, match="is damaged or not safetensors"), open_tensors(raw(tmp_path, header)):
        pass


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{", b"\x03\0\0\0\0\0\0\0\xff\xff\xff"])
def test_a_file_without_a_header_is_damage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "step-1.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged or not safetensors"), open_tensors(path):
        pass


def test_a_file_that_ends_inside_of_a_tensor_is_truncated(tmp_path: Path) -> None:
    path = raw(tmp_path, {"w": PLACE}, bytes(7))
    with open_tensors(path) as file, pytest.raises(CheckpointError, match="ends inside of w"):
        list(file.pieces("w"))


def test_a_missing_file_is_gone(tmp_path: Path) -> None:
    with pytest.raises(CheckpointGone), open_tensors(tmp_path / "step-1.safetensors"):
        pass


def test_an_empty_tensor_has_no_pieces(tmp_path: Path) -> None:
    with open_tensors(write(tmp_path, tensors={"w": np.zeros((0, 3), np.float32)})) as file:
        assert list(file.pieces("w")) == []
