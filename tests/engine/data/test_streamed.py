from pathlib import Path

import psutil
import pytest
import torch

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, Streamed, load_dataset
from claf_engine.data.decoding import Form
from claf_engine.data.items import Files
from claf_engine.data.statistics import channel_statistics
from claf_engine.data.streamed import Reader
from claf_engine.terms.errors import DataError
from tests.engine.pictures import drawn, save, write_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pictures"), {"train": 10, "test": 4}, num_classes=3)


def load(root: Path, resident: str = "never", workers: int = 0) -> Dataset:
    config = {"source": f"folder:{root}", "num_validation": 6, "resident": resident, "workers": workers}
    return load_dataset(DataConfig.model_validate(config), CPU)


def streamed(root: Path, workers: int = 0) -> Streamed:
    images = load(root, workers=workers).train.images
    assert isinstance(images, Streamed)
    return images


def test_streamed_images_are_those_in_memory_in_the_same_order(root: Path) -> None:
    here, there = load(root, "always"), load(root)
    for ours, theirs in zip(
        (here.train, here.validation, here.test), (there.train, there.validation, there.test), strict=True
    ):
        assert isinstance(theirs.images, Streamed)
        assert ours.images.shape == theirs.images.shape
        assert torch.equal(ours.images[:], theirs.images[:])
        assert torch.equal(ours.labels, theirs.labels)


def test_their_hash_and_their_statistics_are_the_same(root: Path) -> None:
    here, there = load(root, "always").train, load(root).train
    assert isinstance(here.images, torch.Tensor)
    assert there.scan is not None
    assert here.sha256 == there.sha256 == there.scan.sha256
    assert there.statistics == channel_statistics(here.images)


@pytest.mark.parametrize("places", [3, -1, slice(2, 7), slice(0), torch.tensor([5, 0, 5]), torch.tensor([], dtype=int)])
def test_they_are_indexed_like_a_tensor(root: Path, places: int | slice | torch.Tensor) -> None:
    whole = load(root, "always").train.images
    assert torch.equal(streamed(root)[places], whole[places])


def test_the_first_ones_are_not_read_to_be_chosen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = load(root).train
    monkeypatch.setattr("claf_engine.data.streamed.decode", lambda *_: pytest.fail("read"))
    first = split.first(5)
    assert (len(first), first.images.shape[0]) == (5, 5)


def test_what_is_read_ahead_is_what_is_asked_for_pass_after_pass(root: Path) -> None:
    images, whole = streamed(root, workers=1), load(root, "always").train.images
    for seed in range(2):
        batches = torch.randperm(24, generator=torch.Generator().manual_seed(seed)).split(5)
        images.read_ahead(batches)
        for number, batch in enumerate(batches):
            images[:2]  # a probe in between
            assert torch.equal(images.ahead(batch), whole[batch])
            if seed == 0 and number == 2:
                break  # the pass is left half-way
    workers = psutil.Process().children(recursive=True)
    images.close()
    assert workers


def test_a_process_without_a_part_in_a_batch_reads_nothing_of_it(root: Path) -> None:
    images, whole, nothing = streamed(root, workers=1), load(root, "always").train.images, torch.arange(0)
    images.read_ahead([torch.tensor([4, 2]), nothing, torch.tensor([1])])
    assert torch.equal(images.ahead(torch.tensor([4, 2])), whole[torch.tensor([4, 2])])
    assert images.ahead(nothing).shape == (0, 3, 8, 8)
    assert torch.equal(images.ahead(torch.tensor([1])), whole[1:2])
    images.close()


def test_another_batch_than_the_planned_one_is_right_too(root: Path) -> None:
    images, whole = streamed(root, workers=1), load(root, "always").train.images
    images.read_ahead(torch.arange(24).split(5))
    assert torch.equal(images.ahead(torch.tensor([7, 3])), whole[torch.tensor([7, 3])])
    images.close()


def test_an_image_that_breaks_while_it_is_streamed_is_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", {"train": 8, "test": 4})
    images = streamed(root)
    for file in (root / "train").rglob("*.png"):
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match=r"cannot read the image .*\.png; replace or remove it"):
        images[:]


def test_drawing_from_torch_is_not_disturbed_by_reading_ahead(root: Path) -> None:
    images, before = streamed(root, workers=1), torch.get_rng_state()
    images.read_ahead(torch.arange(24).split(5))
    images.ahead(torch.arange(5))
    images.close()
    assert torch.equal(torch.get_rng_state(), before)


def test_memory_stays_flat_however_many_images_there_are(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.png", drawn(0, 0, side=224))
    count = 1000  # 143 MiB of pixels
    reader = Reader(Files((str(picture),) * count), Form(224, 224))
    images = Streamed(reader, torch.arange(count), CPU, 0)
    images[:50]
    before, most = psutil.Process().memory_info().rss, 0
    for batch in torch.arange(count).split(50):
        images[batch]
        most = max(most, psutil.Process().memory_info().rss)
    assert (most - before) / 2**20 < 40
