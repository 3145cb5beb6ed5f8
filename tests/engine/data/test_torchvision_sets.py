import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from claf_engine.config import DataConfig
from claf_engine.config.sources import TORCHVISION_NAMES
from claf_engine.data import Dataset, load_dataset
from claf_engine.data.torchvision_sets import RECIPES
from claf_engine.terms.errors import DataError
from claf_engine.terms.installation import install_line
from tests.engine.data.sets import write_cifar100, write_eurosat, write_gtsrb, write_mnist, write_svhn
from tests.engine.pictures import drawn

CPU = torch.device("cpu")


def load(name: str, **settings: object) -> Dataset:
    config = {"source": f"torchvision:{name}", "num_validation": 4, "download": False, **settings}
    return load_dataset(DataConfig.model_validate(config), CPU)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_names_that_settings_know_are_those_that_can_be_read() -> None:
    assert set(RECIPES) == set(TORCHVISION_NAMES)
    assert all(hasattr(datasets, name) for name in RECIPES)


def test_cifar_100_is_read_with_its_class_names(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar100(data_dir, monkeypatch)
    data = load("CIFAR100")
    assert (len(data.class_names), data.class_names[7]) == (100, "thing 007")
    assert (len(data.train), len(data.validation), len(data.test)) == (196, 4, 100)
    row = int((data.test.labels == 42).nonzero())
    assert np.array_equal(data.test.images[row].numpy(), drawn(42, 42, 32).transpose(2, 0, 1))
    assert data.notices == ()


def test_a_zero_of_svhn_is_a_zero(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(data_dir, monkeypatch)
    data = load("SVHN")
    assert data.class_names == tuple("0123456789")
    zeros = data.test.images[data.test.labels == 0].numpy()
    assert {each.tobytes() for each in zeros} == {drawn(0, i, 32).transpose(2, 0, 1).tobytes() for i in (0, 10)}


def test_mnist_stays_gray(data_dir: Path) -> None:
    write_mnist(data_dir)
    data = load("MNIST")
    assert data.train.images.shape[1:] == (1, 28, 28)
    assert load("MNIST", channels=3).train.images.shape[1:] == (3, 28, 28)


def test_signs_of_several_sizes_are_brought_to_the_stated_one(data_dir: Path) -> None:
    write_gtsrb(data_dir)
    data = load("GTSRB", image_size=16)
    assert (data.train.images.shape, data.test.images.shape) == ((6, 3, 16, 16), (4, 3, 16, 16))
    assert data.notices == (
        "Cut 14 of 14 images of torchvision:GTSRB from their middle and resized them to 16x16 (data.image_size).",
    )


def test_a_set_without_splits_gets_one_that_is_said(data_dir: Path) -> None:
    write_eurosat(data_dir)
    data = load("EuroSAT")
    assert data.class_names == ("Forest", "River")
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert torch.bincount(data.test.labels).tolist() == [2, 2]
    assert data.notices == (
        "Held 4 of the 20 images of torchvision:EuroSAT out to test on, by data.seed=0: it has no test images.",
    )


def test_what_is_not_there_is_named_with_its_place(data_dir: Path) -> None:
    with pytest.raises(DataError, match=r"torchvision:SVHN cannot be read from .*data/svhn .*data\.download=true"):
        load("SVHN")


def test_nothing_is_downloaded_where_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(DataError, match="MNIST"):
        load("MNIST")


def test_a_failed_download_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", refuse)
    with pytest.raises(DataError, match=r"torchvision:SVHN cannot be read .*or connect to the network"):
        load("SVHN", download=True)


def test_a_missing_reader_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*_: object, **__: object) -> None:
        raise ImportError("No module named 'scipy'")

    monkeypatch.setattr(datasets, "SVHN", lack)
    with pytest.raises(DataError, match=re.escape(install_line("torchvision"))):
        load("SVHN")
