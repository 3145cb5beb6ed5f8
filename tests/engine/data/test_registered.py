from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from claf_engine.config import DataConfig
from claf_engine.config.plugins import load_plugin
from claf_engine.data import Images, load_dataset, register_data
from claf_engine.terms.errors import DataError
from tests.plugins import plugin_file, registries_restored

CPU = torch.device("cpu")
NAMES = ("cat", "dog")


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


def some(count: int = 12, side: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    levels = torch.arange(count * 3 * side * side).view(count, 3, side, side) % 256
    return levels.to(torch.uint8), torch.arange(count) % 2


def images(**changes: Any) -> Images:
    return Images(**{"train": some(), "test": some(6), "class_names": NAMES, **changes})


def loaded(given: Any, source: str = "mine", **sizes: int) -> Any:
    register_data("mine")(lambda _config, _argument: given)
    return load_dataset(DataConfig(source=source, num_validation=sizes.pop("num_validation", 4), **sizes), CPU)


def test_registered_images_are_split_like_all_others() -> None:
    data = loaded(images(), num_train=6, num_test=4)
    assert (data.name, data.class_names) == ("mine", NAMES)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [6, 4, 4]
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.dtype == torch.int64


def test_the_validation_images_are_held_out_of_the_training_ones() -> None:
    data = loaded(images())
    both = torch.cat([data.train.images, data.validation.images]).flatten(1)
    assert len(both) == len(both.unique(dim=0)) == 12


def test_the_loader_is_given_the_settings_and_the_argument() -> None:
    asked: list[tuple[int, str]] = []

    def load(config: DataConfig, argument: str) -> Images:
        asked.append((config.seed, argument))
        return images()

    register_data("mine")(load)
    for source in ("mine", "mine:a:b"):
        assert load_dataset(DataConfig(source=source, seed=3, num_validation=4), CPU).name == source
    assert asked == [(3, ""), (3, "a:b")]


@pytest.mark.parametrize(
    "change",
    [lambda levels: levels.float() / 255, lambda levels: levels.double() / 255, lambda levels: levels.numpy() / 255],
)
def test_floating_images_become_the_levels_that_they_are(change: Callable[[torch.Tensor], Any]) -> None:
    levels, labels = some()
    given = loaded(images(train=(change(levels), labels)))
    exact = loaded(images())
    assert torch.equal(given.train.images, exact.train.images)
    assert given.notices == ()


def test_floating_images_between_two_levels_are_rounded_and_it_is_told() -> None:
    levels, labels = some()
    data = loaded(images(train=((levels.float() / 255 + 0.001).clamp(max=1), labels)))
    assert data.notices == ("images of 'mine' were rounded to the 256 levels of an 8-bit image",)


def test_numpy_arrays_of_any_stride_are_taken() -> None:
    levels, labels = some()
    flipped = levels.numpy()[..., ::-1]
    data = loaded(images(train=(flipped, labels.numpy().astype(np.int16))))
    assert len(data.train) == 8


LEVELS, LABELS = some()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (3, "data source 'mine' gives a int; return the record claf_engine.data.Images"),
        (images(train=LEVELS), r"the training images of 'mine' must be a pair \(images, labels\)"),
        (images(train=("x", LABELS)), "the training images of 'mine' are no array of numbers"),
        (images(train=(LEVELS[:, :2], LABELS)), r"have shape \(12, 2, 4, 4\); give \(N, 3, height, width\), or"),
        (images(train=(LEVELS.permute(0, 2, 3, 1), LABELS)), r"\(12, 4, 4, 3\); give .*: channels first"),
        (images(train=(LEVELS[:0], LABELS[:0])), r"have shape \(0, 3, 4, 4\)"),
        (images(train=(LEVELS.int(), LABELS)), r"are int32; give uint8, or floating values in \[0, 1\]"),
        (images(train=(LEVELS.float(), LABELS)), r"lie in \[0, 255\]; give floating values in \[0, 1\], or uint8"),
        (images(train=(LEVELS / 255 - 0.1, LABELS)), r"lie in \[-0.1, 0.9\]; give floating"),
        (images(train=(LEVELS * torch.nan, LABELS)), r"lie in \[nan, nan\]; give floating"),
        (images(train=(LEVELS, LABELS.float())), "the labels of the training images of 'mine' are float32; give whole"),
        (images(train=(LEVELS, LABELS[:5])), r"have shape \(5,\); give one for each of 12 images"),
        (images(train=(LEVELS, LABELS + 1)), r"lie in \[1, 2\], and 2 class names allow 0 to 1"),
        (images(train=(LEVELS, LABELS - 1)), r"lie in \[-1, 0\], and 2 class names allow 0 to 1"),
        (images(test=(LEVELS, LABELS + 1)), "the labels of the test images of 'mine' lie in"),
        (images(test=some(6, side=8)), r"training and test images of 'mine' have shapes \(3, 4, 4\) and \(3, 8, 8\)"),
        (images(class_names=("cat",)), "class names of 'mine' must be two or more different words, these are"),
        (images(class_names=("cat", "cat")), "class names of 'mine' must be two or more different words"),
        (images(class_names=("cat", 2)), "class names of 'mine' must be two or more different words"),
    ],
)
def test_what_is_no_data_set_is_refused_with_the_fix(given: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        loaded(given)


def test_more_images_than_there_are_cannot_be_asked_for() -> None:
    with pytest.raises(DataError, match="leaves nothing to train on, because mine has 12 training images"):
        loaded(images(), num_validation=12)


def test_a_loader_that_raises_is_told_with_its_plugin_and_line(tmp_path: Any) -> None:
    text = """
        from claf_engine.data import register_data

        @register_data("broken")
        def load(config, argument):
            return open(argument)
    """
    load_plugin(plugin_file(tmp_path, text))
    sentence = r"data source 'broken:/no/file' of plugin my.py cannot be loaded: FileNotFoundError in line 6: "
    with pytest.raises(DataError, match=sentence):
        load_dataset(DataConfig(source="broken:/no/file"), CPU)


def test_a_loader_s_own_sentence_is_told_as_it_is() -> None:
    def load(_config: DataConfig, _argument: str) -> Images:
        raise DataError("mount the disk first")

    register_data("mine")(load)
    with pytest.raises(DataError, match=r"^mount the disk first$"):
        load_dataset(DataConfig(source="mine"), CPU)
