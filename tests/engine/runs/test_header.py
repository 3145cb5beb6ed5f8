import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck
from safetensors.numpy import save_file

from claf_engine.runs.header import MAX_HEADER_BYTES, TensorInfo, read_info, size_of
from claf_engine.terms.errors import CheckpointError
from tests.properties import examples

PROPERTY = examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
WEIGHT = np.array([[0, 1, -2], [3, 0, 5.5]], dtype=np.float32)
TENSORS = {"network.weight": WEIGHT, "network.bias": np.zeros(2, np.float32), "step": np.array(7, np.int64)}
METADATA = {
    "claf.format": "1",
    "claf.run": '"2026-01-02-claf"',
    "claf.step": "123",
    "claf.phase": '"Adversarial"',
    "claf.epoch": "4",
    "claf.metrics": '{"validation_natural": 0.75, "validation_robust": 0.5}',
    "claf.classifier": '"adversarial"',
    "claf.weights_sha256": '"abc"',
    "claf.torch": '"2.14"',
}


def write(
    folder: Path,
    metadata: Mapping[str, str] | None = METADATA,
    tensors: Mapping[str, Any] = TENSORS,
    name: str = "step-000000123.safetensors",
) -> Path:
    path = folder / name
    save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    return path


def test_the_header_says_where_the_checkpoint_comes_from(tmp_path: Path) -> None:
    info = read_info(write(tmp_path))
    assert (info.run, info.step, info.phase, info.epoch) == ("2026-01-02-claf", 123, "Adversarial", 4)


def test_the_header_says_how_good_the_checkpoint_is(tmp_path: Path) -> None:
    info = read_info(write(tmp_path))
    assert info.metrics == {"validation_natural": 0.75, "validation_robust": 0.5}
    assert info.classifier == "adversarial"


def test_the_header_says_which_weights_it_holds(tmp_path: Path) -> None:
    assert read_info(write(tmp_path)).weights_sha256 == "abc"


def test_the_whole_metadata_is_decoded(tmp_path: Path) -> None:
    expected = {key: json.loads(value) for key, value in METADATA.items()}
    assert read_info(write(tmp_path)).metadata == expected


def test_the_info_names_the_file_and_its_size(tmp_path: Path) -> None:
    path = write(tmp_path)
    info = read_info(path)
    assert (info.path, info.num_bytes) == (path, len(path.read_bytes()))


def test_tensors_are_listed_by_name_with_shape_and_dtype(tmp_path: Path) -> None:
    assert read_info(write(tmp_path)).tensors == (
        TensorInfo("network.bias", (2,), "F32"),
        TensorInfo("network.weight", (2, 3), "F32"),
        TensorInfo("step", (), "I64"),
    )


@pytest.mark.parametrize(("shape", "num_values"), [((), 1), ((5,), 5), ((2, 3, 4), 24), ((3, 0), 0)])
def test_a_tensor_knows_how_many_numbers_it_holds(shape: tuple[int, ...], num_values: int) -> None:
    assert TensorInfo("w", shape, "F32").num_values == num_values


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at .*none.safetensors"):
        read_info(tmp_path / "none.safetensors")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_info(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl"])
def test_a_file_with_the_suffix_of_a_pickle_is_refused(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path, name=f"model{suffix}")
    with pytest.raises(CheckpointError, match="is a pickle, which can run code when opened"):
        read_info(path)


def test_a_bare_pickle_is_refused_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04}\x94.")
    with pytest.raises(CheckpointError, match="is a pickle"):
        read_info(path)


def test_a_zip_of_pickles_is_refused_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
    with pytest.raises(CheckpointError, match="is a pickle"):
        read_info(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 8, b"a checkpoint, honestly", b"\x02" + b"\0" * 7 + b"[]"])
def test_a_file_that_is_not_safetensors_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not safetensors"):
        read_info(path)


@pytest.mark.parametrize("num_bytes", [MAX_HEADER_BYTES + 1, 2**40, 2**64 - 1])
def test_a_header_that_claims_to_be_huge_is_refused(num_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(num_bytes.to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match=f"its header claims {num_bytes} bytes"):
        read_info(path)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = write(tmp_path).read_bytes()
    path = tmp_path / "truncated.safetensors"
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_info(path)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"format": "pt"}, {**METADATA, "claf.format": "2"}, {**METADATA, "claf.format": '"1"'}]
)
def test_a_safetensors_file_of_somebody_else_is_refused(metadata: Mapping[str, str] | None, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a claf-tui checkpoint of format 1"):
        read_info(write(tmp_path, metadata))


@pytest.mark.parametrize("key", sorted(METADATA.keys() - {"claf.format", "claf.torch"}))
def test_metadata_that_lack_a_key_are_refused(key: str, tmp_path: Path) -> None:
    metadata = {name: value for name, value in METADATA.items() if name != key}
    with pytest.raises(CheckpointError, match=f"damaged metadata .*{key}"):
        read_info(write(tmp_path, metadata))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("claf.run", "not json"),
        ("claf.extra", "{"),
        ("claf.step", "null"),
        ("claf.step", '"many"'),
        ("claf.step", "NaN"),
        ("claf.epoch", "[1]"),
        ("claf.metrics", "[0.5]"),
        ("claf.metrics", '{"validation_natural": null}'),
        ("claf.metrics", '{"validation_natural": "good"}'),
        ("claf.step", "9" * 5000),
        ("claf.num_records", "-1"),
        ("claf.num_records", "[]"),
        ("claf.class_names", "null"),
        ("claf.class_names", '"abcd"'),
        ("claf.class_names", "[]"),
        ("claf.class_names", "[1, 2]"),
    ],
)
def test_damaged_metadata_are_refused(key: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="damaged metadata .*use an older checkpoint of the run"):
        read_info(write(tmp_path, {**METADATA, key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("claf.step", "Infinity"),
        ("claf.epoch", "1e999"),
        ("claf.metrics", f'{{"validation_natural": 1{"0" * 400}}}'),
        ("claf.extra", "[" * 100_000),
    ],
    ids=["infinite step", "overflowing epoch", "overflowing metric", "deeply nested"],
)
def test_hostile_metadata_are_refused(key: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="damaged metadata"):
        read_info(write(tmp_path, {**METADATA, key: value}))


def test_keys_of_others_are_left_out_of_the_metadata(tmp_path: Path) -> None:
    info = read_info(write(tmp_path, {**METADATA, "format": "pt"}))
    assert "format" not in info.metadata


@pytest.mark.parametrize(
    ("told", "size"),
    [([32, 48], (32, 48)), ([32], None), (["32", "48"], None), ([32, 0], None), ([True, 1], None), (None, None)],
)
def test_a_size_is_two_whole_numbers(told: object, size: tuple[int, int] | None) -> None:
    assert size_of(told) == size
