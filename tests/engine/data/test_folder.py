import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, dataset_steps, load_dataset, reading
from claf_engine.events.ticks import exhaust
from claf_engine.terms.errors import DataError

CPU = torch.device("cpu")


def save(file: Path, level: int = 128, size: tuple[int, int] = (10, 8), mode: str = "RGB") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    colour = {"RGB": (level, 0, 255 - level), "L": level, "RGBA": (level, 0, 0, 100)}[mode]
    Image.new(mode, size, colour).save(file)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, three training and two test images each, 10x8 pixels."""
    folder = tmp_path / "animals"
    for label, name in enumerate(("cat", "dog")):
        for index in range(3):
            save(folder / "train" / name / f"{index}.png", 100 * label + 10 * index)
        for index in range(2):
            save(folder / "test" / name / f"{index}.PNG", 100 * label + 10 * index + 5)
    return folder


def load(root: Path | str) -> Dataset:
    return load_dataset(DataConfig(source=f"folder:{root}", num_validation=2), CPU)


def levels(dataset: Dataset) -> dict[int, int]:
    """Red level of every training and validation image, with its label."""
    images = torch.cat((dataset.train.images, dataset.validation.images))
    labels = torch.cat((dataset.train.labels, dataset.validation.labels))
    return dict(zip(images[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))


def cache_files(tmp_path: Path) -> list[Path]:
    return [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def refuse_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        pytest.fail("decoded again")

    monkeypatch.setattr(reading, "decode_steps", fail)


def test_test_images_alone_are_enough_to_measure_and_the_same_as_with_the_others(root: Path) -> None:
    config = DataConfig(source=f"folder:{root}", num_validation=1000)
    with_training = exhaust(dataset_steps(config, CPU, "measuring"))
    shutil.rmtree(root / "train")
    alone = exhaust(dataset_steps(config, CPU, "measuring"))
    assert torch.equal(alone.test.images, with_training.test.images)
    assert torch.equal(alone.test.labels, with_training.test.labels)
    assert (alone.class_names, len(alone.train), len(alone.validation)) == (("cat", "dog"), 0, 0)
    with pytest.raises(DataError, match="has no train/ folder"):
        exhaust(dataset_steps(config, CPU))


def test_more_test_images_than_there_are_cannot_be_measured(root: Path) -> None:
    config = DataConfig(source=f"folder:{root}", num_test=5)
    with pytest.raises(DataError, match="num_test=5 asks for more than the 4 test images of .*; give --data folder:"):
        exhaust(dataset_steps(config, CPU, "measuring"))


def test_a_folder_is_read_with_its_classes_in_alphabetical_order(root: Path) -> None:
    dataset = load(root)
    assert dataset.class_names == ("cat", "dog")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (4, 2, 4)
    assert dataset.notices == ()


def test_every_image_arrives_with_its_pixels_and_label(root: Path) -> None:
    assert levels(load(root)) == {0: 0, 10: 0, 20: 0, 100: 1, 110: 1, 120: 1}


def test_images_have_three_channels_height_and_width(root: Path) -> None:
    assert load(root).train.images.shape == (4, 3, 8, 10)


def test_grayscale_images_become_rgb(root: Path) -> None:
    save(root / "test" / "cat" / "0.PNG", 77, mode="L")
    test = load(root).test
    assert [77, 77, 77] in test.images[:, :, 0, 0].tolist()


def test_images_of_another_size_are_resized_and_counted(root: Path) -> None:
    save(root / "train" / "cat" / "0.png", 33, size=(20, 16))
    save(root / "test" / "dog" / "1.PNG", 44, size=(5, 5))
    dataset = load(root)
    assert dataset.train.images.shape[1:] == dataset.test.images.shape[1:] == (3, 8, 10)
    assert 33 in levels(dataset)
    assert len(dataset.notices) == 1
    assert dataset.notices[0].startswith("Resized 2 of 10 images to 10x8")


def test_dropped_transparency_is_noticed(root: Path) -> None:
    save(root / "train" / "cat" / "0.png", 33, mode="RGBA")
    assert load(root).notices[0].startswith("Dropped the transparency of 1 of 10 images")


def test_an_opaque_alpha_channel_is_not_worth_a_notice(root: Path) -> None:
    Image.new("RGBA", (10, 8), (33, 0, 0, 255)).save(root / "train" / "cat" / "0.png")
    assert load(root).notices == ()


def test_palette_images_with_transparency_are_read_without_a_warning(root: Path) -> None:
    image = Image.fromarray(np.zeros((8, 10), np.uint8), "P")
    image.putpalette([50, 60, 70] + [0] * 765)
    image.save(root / "train" / "cat" / "0.png", transparency=b"\x80")
    assert 50 in levels(load(root))


def test_other_files_are_skipped_and_counted(root: Path) -> None:
    (root / "train" / "cat" / "notes.txt").write_text("hello")
    (root / "test" / "labels.csv").write_text("hello")
    (notice,) = load(root).notices
    assert notice.startswith("Skipped 2 files or folders")
    assert "notes.txt" in notice


def test_hidden_folders_are_no_classes(root: Path) -> None:
    (root / "train" / ".checkpoints").mkdir()
    dataset = load(root)
    assert dataset.class_names == ("cat", "dog")
    assert "Skipped 1 file or folder" in dataset.notices[0]


def test_the_home_folder_is_expanded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert load("~/animals").class_names == ("cat", "dog")


def test_decoding_pulses_so_that_a_screen_can_show_progress(root: Path) -> None:
    config = DataConfig(source=f"folder:{root}", num_validation=2)
    activities = [pulse.activity for pulse in dataset_steps(config, CPU)]
    assert "decoding train images" in activities
    assert "decoding test images" in activities


def test_a_second_load_comes_from_the_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(root / "train" / "cat" / "0.png", 33, size=(20, 16))
    first = load(root)
    refuse_decoding(monkeypatch)
    second = load(root)
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.test.labels, second.test.labels)
    assert first.notices == second.notices


def test_a_changed_image_is_decoded_again(root: Path) -> None:
    load(root)
    save(root / "train" / "cat" / "0.png", 33)
    assert 33 in levels(load(root))


def test_a_touched_image_is_decoded_again_and_replaces_the_old_cache(root: Path, tmp_path: Path) -> None:
    load(root)
    before = cache_files(tmp_path)
    os.utime(root / "train" / "cat" / "0.png", ns=(1, 1))
    load(root)
    after = cache_files(tmp_path)
    assert len(before) == len(after) == 1
    assert before != after


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scramble(file: Path) -> None:
    file.write_bytes(b"\xff" * 1000)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, scramble])
def test_a_damaged_cache_is_rebuilt_with_a_notice(root: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    first = load(root)
    (file,) = cache_files(tmp_path)
    damage(file)
    second = load(root)
    assert torch.equal(first.train.images, second.train.images)
    assert "Rebuilt the cache" in second.notices[0]
    assert load(root).notices == ()


def test_a_cache_that_cannot_be_written_is_a_notice(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    dataset = load(root)
    assert len(dataset.train) == 4
    assert "CLAF_CACHE_DIR" in dataset.notices[-1]


def test_an_interrupted_write_leaves_nothing_behind(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("claf_engine.data.cache.os.replace", fail)
    assert "no space left" in load(root).notices[-1]
    assert cache_files(tmp_path) == []


def remove(*parts: str) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        folder = root.joinpath(*parts)
        folder.rename(root.parent / "elsewhere")

    return act


def break_image(root: Path) -> None:
    (root / "train" / "dog" / "1.png").write_bytes(b"not an image")


def cut_image(root: Path) -> None:
    file = root / "train" / "dog" / "1.png"
    noise = np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:150])


def deepen_image(root: Path) -> None:
    Image.fromarray(np.zeros((8, 10), np.uint16)).save(root / "train" / "dog" / "1.png")


def enlarge_images(root: Path) -> None:
    for file in (root / "train").rglob("*.png"):
        save(file, size=(300, 300))


def empty_classes(root: Path) -> None:
    for name in ("cat", "dog"):
        (root / "train" / name).rename(root.parent / name)


def empty_class(root: Path) -> None:
    for file in (root / "train" / "dog").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: root.rename(root.parent / "elsewhere"), r"no folder .*animals; .*train/CLASS"),
        (remove("train"), r"animals has no train/ folder; put"),
        (remove("test"), r"animals has no test/ folder; put"),
        (empty_classes, r"train holds no classes; put"),
        (remove("train", "dog"), r"train holds only the class cat; put"),
        (empty_class, r"class folder .*dog holds no \.png or \.jpg images; add"),
        (break_image, r"cannot read the image .*1\.png; replace"),
        (cut_image, r"cannot read the image .*1\.png; replace"),
        (deepen_image, r"1\.png has more than 8 bits per channel; save"),
        (enlarge_images, r"300x300 pixels, and sides must be 8 to 256; resize"),
        (lambda root: save(root / "test" / "eel" / "0.png"), r"only test has eel\); give"),
        (lambda root: save(root / "train" / "eel" / "0.png"), r"only train has eel\); give"),
    ],
)
def test_a_wrong_folder_is_refused_with_the_culprit_and_the_fix(
    root: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(root)
    with pytest.raises(DataError, match=message):
        load(root)
