from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, Streamed, load_dataset, loading
from claf_engine.terms.errors import DataError
from tests.engine.pictures import drawn, save, write_folder

CPU = torch.device("cpu")


def load(root: Path, **settings: object) -> Dataset:
    config = {"source": f"folder:{root}", "num_validation": 2, **settings}
    return load_dataset(DataConfig.model_validate(config), CPU)


def test_gray_images_stay_gray(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path, {"train": 4, "test": 2}, channels=1))
    assert data.train.images.shape[1:] == (1, 8, 8)
    assert data.notices == ()
    assert any(np.array_equal(each[0].numpy(), drawn(0, 1000, channels=1)) for each in data.test.images)


def test_gray_images_are_taken_in_colour_where_the_model_takes_colour_and_that_is_said(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path, {"train": 4, "test": 2}, channels=1), channels=3)
    assert data.train.images.shape[1:] == (3, 8, 8)
    assert "Took 12 of 12 images" in data.notices[0]
    assert "with three equal channels: they are gray" in data.notices[0]


def test_coloured_images_are_taken_in_gray_where_the_model_takes_gray_and_that_is_said(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path, {"train": 4, "test": 2}), channels=1)
    assert data.train.images.shape[1:] == (1, 8, 8)
    assert "in gray that are coloured" in data.notices[0]
    luma = np.array(Image.fromarray(drawn(0, 1000)).convert("L"))
    assert any(np.array_equal(each[0].numpy(), luma) for each in data.test.images)


def test_images_are_cut_from_their_middle_and_resized_to_a_stated_size(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"train": 4, "test": 2}, side=16)
    wide = np.concatenate([drawn(0, 7, 16), drawn(0, 8, 16)], axis=1)
    save(root / "test" / "class000" / "0.png", wide)
    data = load(root, image_size=8)
    assert data.test.images.shape[1:] == (3, 8, 8)
    expected = np.array(ImageOps.fit(Image.fromarray(wide), (8, 8), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert any(np.array_equal(each.numpy(), expected) for each in data.test.images)
    assert data.notices[0].startswith("Cut 12 of 12 images of ")


def test_images_of_the_stated_size_are_left_as_they_are(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"train": 4, "test": 2})
    assert load(root, image_size=8).train.sha256 == load(root).train.sha256
    assert load(root, image_size=8).notices == ()


@pytest.mark.parametrize("settings", [{"channels": 1}, {"image_size": 16}, {}])
def test_another_form_of_the_same_folder_is_not_taken_from_the_cache(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    root = write_folder(tmp_path / "set", {"train": 4, "test": 2})
    load(root, channels=3, image_size=12)
    fresh = load(root, **settings)
    (tmp_path / "cache").rename(tmp_path / "old")
    assert torch.equal(fresh.train.images[:], load(root, **settings).train.images[:])


@pytest.mark.parametrize(("free", "is_streamed"), [(10**9, False), (12 * 192 * 2 - 2, True)])
def test_what_fills_more_than_half_of_the_free_memory_is_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_streamed: bool
) -> None:
    root = write_folder(tmp_path, {"train": 4, "test": 2})
    monkeypatch.setattr(loading, "free_bytes", lambda _: free)
    data = load(root, workers=0)
    assert isinstance(data.train.images, Streamed) is is_streamed
    assert bool(data.notices) is is_streamed


def test_a_cache_that_does_not_fit_is_not_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", {"train": 4, "test": 2})
    held = load(root)
    read = load(root, resident="never", workers=0)
    assert isinstance(read.train.images, Streamed)
    assert torch.equal(held.train.images[:], read.train.images[:])


def test_images_too_large_for_a_network_ask_for_a_size(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"train": 2, "test": 1}, side=300)
    with pytest.raises(DataError, match=r"300x300 pixels, and sides must be 8 to 256; .*--set data.image_size=32"):
        load(root)
    assert load(root, image_size=224).train.images.shape[1:] == (3, 224, 224)
