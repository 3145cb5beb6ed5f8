"""What folders of images really contain, and what becomes of it."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, load_dataset
from claf_engine.data.decoding import Form, Measured, Pixels, Unusable, decode, measure
from claf_engine.terms.errors import DataError

COLOURS = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n"


def save(file: Path, pixels: np.ndarray = COLOURS, form: str = "PNG", orientation: int | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, form, exif=exif)
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, three training and three test images each, 10x8 pixels."""
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            for index in range(3):
                save(tmp_path / "animals" / part / name / f"{index}.png")
    return tmp_path / "animals"


def load(root: Path) -> Dataset:
    return load_dataset(DataConfig(source=f"folder:{root}", num_validation=2), torch.device("cpu"))


def test_a_plain_folder_is_worth_no_notice(root: Path) -> None:
    assert load(root).notices == ()


def test_a_postscript_file_in_disguise_starts_no_program(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, started = tmp_path / "bin" / "gs", tmp_path / "started"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho > {started}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (root / "train" / "cat" / "x.png").write_bytes(EPS)
    with pytest.raises(DataError, match=r"cannot read the image .*x\.png"):
        load(root)
    assert not started.exists()
    with pytest.raises(subprocess.CalledProcessError), Image.open(root / "train" / "cat" / "x.png") as image:
        image.load()
    assert started.exists(), "without the list of decoders it is started"


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PPM", "ICO"])
def test_another_format_in_disguise_is_refused(tmp_path: Path, form: str) -> None:
    file = tmp_path / "x.png"
    Image.fromarray(COLOURS).save(file, form)
    assert isinstance(measure(file, str(file)), Unusable)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
def test_what_may_be_decoded_is_whatever_its_name(tmp_path: Path, form: str) -> None:
    file = tmp_path / "x.png"
    Image.fromarray(COLOURS).save(file, form)
    assert measure(file, str(file)) == Measured(10, 8, is_gray=False)
    assert isinstance(decode(file, str(file), Form(10, 8)), Pixels)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (8000, 8000)).save(root / "train" / "cat" / "0.png")
    decoded = []
    monkeypatch.setattr(Image.Image, "convert", lambda *arguments: decoded.append(arguments))
    assert "8000x8000 pixels" in getattr(measure(root / "train" / "cat" / "0.png", "x"), "reason", "")
    assert decoded == []
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"0\.png has 8000x8000 pixels, more than 33,554,432; make it smaller"):
        load(root)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_an_image_is_read_the_way_up_that_viewers_show_it(tmp_path: Path, form: str, orientation: int) -> None:
    from PIL import ImageOps

    file = save(tmp_path / "x", COLOURS, form, orientation)
    with Image.open(file) as image:
        shown = ImageOps.exif_transpose(image).convert("RGB")
    size = shown.size
    assert measure(file, str(file)) == Measured(*size, is_gray=False)
    pixels = decode(file, str(file), Form(*size))
    assert isinstance(pixels, Pixels)
    assert np.array_equal(pixels.levels.transpose(1, 2, 0), np.array(shown))
    assert pixels.was_turned == (orientation != 1)


def test_images_that_were_turned_are_counted(root: Path) -> None:
    for part in ("train", "test"):
        save(root / part / "cat" / "0.png", COLOURS.transpose(1, 0, 2).copy(), orientation=6)
    (notice,) = load(root).notices
    assert notice.startswith("Turned 2 of 12 images")


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_there_is_not_is_upright(tmp_path: Path, orientation: int) -> None:
    assert measure(save(tmp_path / "x", orientation=orientation), "x") == Measured(10, 8, is_gray=False)


def test_what_macos_leaves_behind_is_no_image_and_no_class(root: Path) -> None:
    (root / "train" / "cat" / "._0.png").write_bytes(b"\0\5\x16\7xxxxxxxx")
    (root / "train" / "__MACOSX").mkdir()
    dataset = load(root)
    assert dataset.class_names == ("cat", "dog")
    (notice,) = dataset.notices
    assert notice.startswith("Skipped 2 files or folders")


def test_images_in_folders_inside_a_class_are_counted_as_images(root: Path) -> None:
    for index in range(5):
        save(root / "train" / "cat" / "more" / "deeper" / f"{index}.png")
    _, notice = load(root).notices
    assert notice.startswith("Among what was skipped are 5 images in folders inside class folders")


def test_a_folder_of_validation_images_is_said_to_be_left_alone(root: Path) -> None:
    save(root / "val" / "cat" / "0.png")
    (notice,) = load(root).notices
    assert notice.startswith(f"Left val/ of {root} alone")


@pytest.mark.parametrize("place", ["train/cat/0.png", "train/cat", "test"])
def test_links_that_lead_out_of_the_folder_are_said(root: Path, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    (root / place).rename(outside)
    (root / place).symlink_to(outside)
    (notice,) = load(root).notices
    assert notice.startswith("1 link leads out of ")
    assert place in notice


def test_a_link_within_the_folder_is_not_worth_a_notice(root: Path) -> None:
    (root / "train" / "cat" / "9.png").symlink_to(root / "train" / "cat" / "0.png")
    assert load(root).notices == ()


def test_a_gray_set_in_three_channels_is_said_with_its_statistics(root: Path) -> None:
    for file in root.rglob("*.png"):
        save(file, np.repeat(np.array([[0], [255]], np.uint8), 10, 1).repeat(4, 0)[..., None].repeat(3, 2))
    (notice,) = load(root).notices
    assert "are gray" in notice
    assert "mean 0.500 and standard deviation 0.500" in notice


def spoil(root: Path, count: int) -> None:
    for index in range(count):
        (root / "train" / "cat" / f"bad{index}.png").write_bytes(b"no image")


def test_all_bad_files_are_named_at_once(root: Path) -> None:
    spoil(root, 2)
    noise = np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8)
    cut = save(root / "test" / "dog" / "0.png", noise)
    cut.write_bytes(cut.read_bytes()[:150])
    Image.fromarray(np.zeros((8, 10), np.uint16)).save(root / "test" / "dog" / "1.png")
    with pytest.raises(DataError, match="4 images of .* cannot be used: ") as refused:
        load(root)
    named = ("train/cat/bad0.png", "train/cat/bad1.png", "test/dog/0.png", "test/dog/1.png has more than 8 bits")
    assert all(name in str(refused.value) for name in named)


def test_of_very_many_bad_files_ten_are_named(root: Path) -> None:
    spoil(root, 13)
    with pytest.raises(DataError, match=r"13 images .*, and 3 more; replace or remove them") as refused:
        load(root)
    assert str(refused.value).count("/bad") == 10


def test_a_folder_of_nothing_but_bad_files_is_refused(root: Path) -> None:
    for file in root.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="12 images of .* cannot be used"):
        load(root)
