from pathlib import Path

import pytest
import torch

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, load_dataset
from claf_engine.terms.errors import DataError
from tests.engine.pictures import drawn, write_folder

CPU = torch.device("cpu")


def load(root: Path, **settings: object) -> Dataset:
    config = {"source": f"folder:{root}", "num_validation": 4, "validation": "own", **settings}
    return load_dataset(DataConfig.model_validate(config), CPU)


def sizes(data: Dataset) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def pictures(data: Dataset, split: str) -> set[bytes]:
    return {each.numpy().tobytes() for each in getattr(data, split).images[:]}


def of_part(number: int, count: int) -> set[bytes]:
    """Pictures of the part with this place among those that were written."""
    return {
        drawn(label, 1000 * number + index).transpose(2, 0, 1).tobytes() for label in range(2) for index in range(count)
    }


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_without_a_test_folder_validation_images_are_tested_on_and_that_is_said(tmp_path: Path, name: str) -> None:
    data = load(write_folder(tmp_path, {"train": 10, name: 3}))
    assert sizes(data) == (16, 4, 6)
    assert pictures(data, "test") == of_part(1, 3)
    assert data.notices == (f"Took the 6 images of {tmp_path}/{name} to test on: there is no test/.",)


def test_beside_a_test_folder_validation_images_are_selected_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"train": 10, "val": 3, "test": 2})
    data = load(root, num_validation=1000)
    assert sizes(data) == (20, 6, 4)
    assert pictures(data, "validation") == of_part(1, 3)
    assert sizes(load(root, num_validation=2)) == (20, 2, 4)
    assert data.notices == ()


def test_where_they_are_held_out_a_validation_folder_is_left_alone_as_before(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path, {"train": 10, "val": 3, "test": 2}), validation="held-out")
    assert sizes(data) == (16, 4, 4)
    assert "Left val/" in data.notices[0]


def test_of_class_folders_alone_a_fifth_is_tested_on_and_that_is_said(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", {"": 10})
    data = load(root)
    assert sizes(data) == (12, 4, 4)
    assert torch.bincount(data.test.labels).tolist() == [2, 2]
    assert pictures(data, "train") | pictures(data, "validation") | pictures(data, "test") == of_part(0, 10)
    assert data.notices == (
        f"Held 4 of the 20 images of {root} out to test on, by data.seed=0: it has no test images.",
    )


def test_another_seed_holds_out_others_and_the_same_seed_the_same(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", {"": 10})
    first, again, other = (pictures(load(root, seed=seed), "test") for seed in (0, 0, 1))
    assert first == again != other


def test_a_folder_that_is_nothing_of_all_that_is_refused_as_before(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no train/ folder; put"):
        load(tmp_path)


def test_the_classes_of_a_validation_folder_must_be_the_same(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"train": 4, "val": 2, "test": 2})
    (root / "val" / "class001").rename(root / "val" / "other")
    with pytest.raises(DataError, match=r"train and val of .* differ in their classes"):
        load(root)
