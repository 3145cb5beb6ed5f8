from pathlib import Path

import pytest

from claf_engine.config import DataConfig
from claf_engine.data import preview
from claf_engine.data.preview import Preview, preview_steps
from claf_engine.events.ticks import exhaust
from claf_engine.terms.errors import DataError
from tests.engine.pictures import write_folder


def look(root: Path, **settings: object) -> Preview | None:
    config = {"source": f"folder:{root}", "num_validation": 4, "validation": "own", **settings}
    return exhaust(preview_steps(DataConfig.model_validate(config)))


def test_a_preview_tells_sizes_classes_form_and_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "SAMPLE", 6)
    found = look(write_folder(tmp_path, {"train": 10, "test": 3}, num_classes=3, channels=1))
    assert found is not None
    assert (found.num_train, found.num_validation, found.num_test) == (26, 4, 9)
    assert (len(found.class_names), found.shape, found.num_sampled) == (3, (1, 8, 8), 6)
    assert len(found.statistics.mean) == 1
    assert not (tmp_path / "cache").exists()


def test_validation_images_of_its_own_are_told_as_such(tmp_path: Path) -> None:
    found = look(write_folder(tmp_path, {"train": 10, "val": 3, "test": 3}), num_validation=1000)
    assert found is not None
    assert (found.num_train, found.num_validation) == (20, 6)


def test_more_images_than_there_are_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="num_train=100 and num_validation=4 together ask for more than the 20"):
        look(write_folder(tmp_path, {"train": 10, "test": 3}), num_train=100)


@pytest.mark.parametrize("source", ["shapes", "folder:/nowhere", "hf:/nowhere", "torchvision:SVHN"])
def test_what_is_drawn_or_not_there_yet_has_no_preview(source: str) -> None:
    assert exhaust(preview_steps(DataConfig(source=source))) is None
