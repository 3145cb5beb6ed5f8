"""CIFAR-10: downloaded once with progress, then extracted and read by torchvision, which verifies every file."""

import http.client
import os
import tarfile
import tempfile
import urllib.request
import warnings
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity

from claf_engine.config import DataConfig
from claf_engine.data.dataset import Source, Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError
from claf_engine.terms.places import data_dir

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30


def cifar10_source(config: DataConfig) -> Generator[Pulse, None, Source]:
    """Read CIFAR-10 (Krizhevsky 2009) from the data folder, and download it (163 MiB) if it is not there.

    Raises:
        DataError: it is not there and cannot be downloaded or unpacked.
    """
    root = data_dir() / "cifar10"
    try:
        yield Pulse("checking CIFAR-10")
        if not _is_extracted(root):
            yield from _fetch(root)
        yield Pulse("reading CIFAR-10")
        pool, class_names = _read(root, train=True)
        test, _ = _read(root, train=False)
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise DataError(
            f"CIFAR-10 cannot be read from {root} or downloaded to it ({error}); connect to the network, or use "
            "--data shapes or --data folder:PATH"
        ) from error
    return Source(name=config.source, class_names=class_names, pool=pool, test=test)


def _is_extracted(root: Path) -> bool:
    wanted = [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]
    return all(check_integrity(root / CIFAR10.base_folder / name, md5) for name, md5 in wanted)


def _fetch(root: Path) -> Generator[Pulse, None, None]:
    """Download the archive unless a complete one is there, and unpack it."""
    archive = root / CIFAR10.filename
    if not check_integrity(archive, CIFAR10.tgz_md5):
        root.mkdir(parents=True, exist_ok=True)
        yield from _download(CIFAR10.url, archive, CIFAR10.tgz_md5)
    yield Pulse("unpacking CIFAR-10")
    CIFAR10(root, download=True)


def _download(url: str, file: Path, md5: str) -> Generator[Pulse, None, None]:
    """Stream a file to a temporary name and move it into place once its checksum is right.

    Yields:
        Pulses in mebibytes.

    Raises:
        OSError: no connection, no space, or a wrong checksum.
    """
    handle, name = tempfile.mkstemp(prefix=".downloading-", dir=file.parent)
    request = urllib.request.Request(url, headers={"User-Agent": "claf-tui"})
    try:
        with os.fdopen(handle, "wb") as target, urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            total = int(response.headers.get("Content-Length") or 0)
            done = 0
            while chunk := response.read(_CHUNK_BYTES):
                target.write(chunk)
                done += len(chunk)
                yield Pulse("downloading CIFAR-10 (MiB)", done >> 20, total >> 20)
        if not check_integrity(name, md5):
            raise OSError(f"what {url} sent is damaged or incomplete")
        os.replace(name, file)
    finally:
        with suppress(FileNotFoundError):
            os.remove(name)


def _read(root: Path, *, train: bool) -> tuple[Split, tuple[str, ...]]:
    with warnings.catch_warnings():
        # numpy 2.4.0 to 2.4.4 warn about arrays pickled as long ago as these (numpy#31177).
        warnings.filterwarnings("ignore", message="dtype.*align")
        dataset = CIFAR10(root, train=train)
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(dataset.targets)), tuple(dataset.classes)
