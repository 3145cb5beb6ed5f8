"""Every function that reads images, archives of them or what was decoded before, with a whole file of its kind."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torchvision.datasets import CIFAR10

from claf_engine.config import DataConfig
from claf_engine.data import load_dataset
from claf_engine.data.cache import CacheKey, Decoded, load_cache, save_cache
from claf_engine.data.decoding import FORMATS, Form, Measured, Pixels, decode, measure
from claf_engine.data.folder import folder_catalogue
from claf_engine.data.listing import PARTS
from tests.engine.data.test_cifar10 import expect_archive, go_offline, tiny_files
from tests.engine.data.test_folder_realities import save as save_image
from tests.fuzz.reader import Reader


def make_image(form: str) -> Callable[[Path], Path]:
    """One image, upright by its EXIF alone."""
    return lambda run: save_image(run / f"x.{form}", form=form, orientation=6)


@contextmanager
def pillow_may_warn() -> Iterator[None]:
    """Pillow warns of EXIF that is damaged, and goes on without it, as we do."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def read_image(_: Path, file: Path) -> bool:
    """As a folder of images does."""
    with pillow_may_warn():
        return isinstance(measure(file, "x"), Measured) and isinstance(decode(file, "x", Form(10, 8)), Pixels)


def make_folder(run: Path) -> Path:
    """A folder of images of two classes; one of them is damaged."""
    files = [run / "images" / part / name / "a.png" for part in PARTS for name in ("cat", "dog")]
    return [save_image(file) for file in (*files, run / "images" / "train" / "dog" / "b.png")][0]


def read_folder(run: Path, _: Path) -> bool:
    """As training does; its cache lies elsewhere."""
    config = DataConfig(source=f"folder:{run / 'images'}", num_validation=1)
    with pillow_may_warn():
        return len(load_dataset(config, torch.device("cpu")).train) == 2


def key_of(run: Path) -> CacheKey:
    config = DataConfig(source=f"folder:{run / 'images'}")
    key = CacheKey.of(folder_catalogue(config), config)
    assert key is not None
    return key


def make_cache(run: Path) -> Path:
    """The pixels of a folder, decoded before."""
    make_folder(run)
    key = key_of(run)
    images = {part: torch.zeros((count, 3, 8, 10), dtype=torch.uint8) for part, count in key.counts.items()}
    assert save_cache(key, Decoded(images, ("a notice",))) == []
    (file,) = (run.parents[1] / "cache").rglob("*.safetensors")
    return file


def read_cache(run: Path, _: Path) -> bool:
    """As training on a folder does."""
    return load_cache(key_of(run))[0] is not None


CIFAR10_FILES = tiny_files()


def make_cifar10(run: Path) -> Path:
    """A batch of CIFAR-10: a pickle, whose hash is looked at before it is opened."""
    folder = run / "data" / "cifar10" / CIFAR10.base_folder
    folder.mkdir(parents=True)
    for name, content in CIFAR10_FILES.items():
        (folder / name).write_bytes(content)
    return folder / "data_batch_1"


def make_archive(run: Path) -> Path:
    """The archive of CIFAR-10, from which nothing has been unpacked yet."""
    file = run / "data" / "cifar10" / CIFAR10.filename
    file.parent.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        file.write_bytes(expect_archive(patch, CIFAR10_FILES))
    return file


def read_cifar10(run: Path, _: Path) -> bool:
    """As training does where there is no network: what is not the known file would be downloaded anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAF_DATA_DIR", str(run / "data"))
        expect_archive(patch, CIFAR10_FILES)
        go_offline(patch)
        return len(load_dataset(DataConfig(source="cifar10", num_validation=2), torch.device("cpu")).train) == 4


def unpack_cifar10(run: Path, file: Path) -> bool:
    """As training does for the first time."""
    shutil.rmtree(file.parent / CIFAR10.base_folder, ignore_errors=True)
    return read_cifar10(run, file)


DATA_READERS: dict[str, Reader] = {
    **{f"image: {form}": Reader(make_image(form), read_image) for form in FORMATS},
    "image in a folder": Reader(make_folder, read_folder, writes=True),
    "batch of CIFAR-10": Reader(make_cifar10, read_cifar10, writes=True),
    "archive of CIFAR-10": Reader(make_archive, unpack_cifar10, writes=True),
    "cache of a folder": Reader(make_cache, read_cache),
}
