import hashlib
import io
import pickle  # noqa: TID251  (the archive under test is made of pickles; torchvision checks their hashes and reads them)
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, dataset_steps, load_dataset
from claf_engine.terms.errors import DataError

CONFIG = DataConfig(source="cifar10", num_validation=2)
CPU = torch.device("cpu")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def batch(labels: list[int]) -> bytes:
    """As in 2009: protocol 2, with numbers for flags in the dtype, which numpy 2.4.0 to 2.4.4 warn about."""
    pixels = np.random.default_rng(len(labels)).integers(0, 255, (len(labels), 3072), np.uint8)
    return pickle.dumps({"data": pixels, "labels": labels}, protocol=2).replace(b"\x89\x88", b"K\x00K\x01", 1)


def tiny_files() -> dict[str, bytes]:
    """Six training and four test images."""
    return {
        "data_batch_1": batch([0, 1, 0, 1, 0, 1]),
        "test_batch": batch([1, 0, 1, 0]),
        "batches.meta": pickle.dumps({"label_names": ["airplane", "frog"]}, protocol=2),
    }


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A tiny archive, whose checksums torchvision takes for the right ones."""
    return expect_archive(monkeypatch, tiny_files())


def expect_archive(monkeypatch: pytest.MonkeyPatch, names: dict[str, bytes]) -> bytes:
    """Let torchvision take these files for CIFAR-10; returns the archive of them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in names.items():
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", md5(names["data_batch_1"])]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5(names["test_batch"])]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(names["batches.meta"])}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(stream.getvalue()))
    return stream.getvalue()


class Response(io.BytesIO):
    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content))}


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str]:
    """Answer every request with these bytes; returns the list of what was asked for."""
    asked: list[str] = []

    def answer(request: Any, timeout: float) -> Response:
        asked.append(request.full_url)
        return Response(content)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)


def load() -> Dataset:
    return load_dataset(CONFIG, CPU)


def files(tmp_path: Path) -> list[Path]:
    return [file for file in (tmp_path / "data").rglob("*") if file.is_file()]


def test_it_is_downloaded_unpacked_and_read(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, archive)
    dataset = load()
    assert asked == [CIFAR10.url]
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (4, 2, 4)
    assert dataset.class_names == ("airplane", "frog")
    assert dataset.train.images.shape == (4, 3, 32, 32)
    assert dataset.train.images.dtype == torch.uint8


def test_channels_come_before_rows_and_columns(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, archive)
    rows = np.random.default_rng(4).integers(0, 255, (4, 3072), np.uint8)
    expected = {row.reshape(3, 32, 32).tobytes() for row in rows}
    assert {image.numpy().tobytes() for image in load().test.images} == expected


def test_the_download_pulses_so_that_a_screen_can_show_progress(
    archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, archive)
    activities = [pulse.activity for pulse in dataset_steps(CONFIG, CPU)]
    assert activities == [
        "checking CIFAR-10",
        "downloading CIFAR-10 (MiB)",
        "unpacking CIFAR-10",
        "reading CIFAR-10",
    ]


def test_it_is_downloaded_only_once(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, archive)
    load()
    go_offline(monkeypatch)
    assert len(load().train) == 4


def test_a_complete_archive_is_unpacked_without_a_download(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    (folder / CIFAR10.filename).write_bytes(archive)
    go_offline(monkeypatch)
    assert len(load().train) == 4


def test_a_damaged_file_is_unpacked_again(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, archive)
    load()
    (tmp_path / "data" / "cifar10" / CIFAR10.base_folder / "test_batch").write_bytes(b"damaged")
    assert len(load().test) == 4


def test_offline_names_the_ways_out(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)
    with pytest.raises(DataError, match="no route to host") as caught:
        load()
    assert "--data shapes or --data folder:PATH" in str(caught.value)
    assert files(tmp_path) == []


def test_a_damaged_download_is_refused_and_removed(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, archive[:-10])
    with pytest.raises(DataError, match="damaged or incomplete"):
        load()
    assert files(tmp_path) == []


def test_an_abandoned_download_leaves_nothing_behind(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, archive)
    steps = dataset_steps(CONFIG, CPU)
    while not next(steps).activity.startswith("downloading"):
        pass
    steps.close()
    assert files(tmp_path) == []


def test_a_data_folder_that_cannot_be_written_is_named(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, archive)
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cifar10"):
        load()


def test_a_torchvision_that_cannot_be_imported_is_one_sentence_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision" or name.endswith(".cifar10")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(DataError, match=r"torchvision::nms does not exist\); `claf-tui doctor` says what to do"):
        load_dataset(CONFIG, CPU)
