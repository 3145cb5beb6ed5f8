import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from claf_engine.config import DataConfig
from claf_engine.data.dataset import Dataset, Source, Split, in_channels, split_source, stratified_order, to_pixels
from claf_engine.terms.errors import DataError
from tests.properties import examples

CPU = torch.device("cpu")


def labelled(labels: list[int]) -> Split:
    """Images that carry their own index, so that a test can see where they went."""
    count = len(labels)
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 3, 2, 2)
    return Split(images, torch.tensor(labels))


def source(pool: list[int], test: list[int]) -> Source:
    return Source("tiny", ("a", "b", "c"), labelled(pool), labelled(test), ("Something was skipped.",))


def identities(split: Split) -> list[int]:
    indices: list[int] = split.images[:, 0, 0, 0].tolist()
    return indices


def split(
    num_train: int | None = None, num_validation: int = 12, num_test: int | None = None, seed: int = 0
) -> Dataset:
    config = DataConfig(seed=seed, num_train=num_train, num_validation=num_validation, num_test=num_test)
    return split_source(source([0] * 20 + [1] * 20 + [2] * 20, [0, 1, 2] * 6), config, CPU)


def test_pixels_are_the_levels_divided_by_255() -> None:
    pixels = to_pixels(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert pixels.dtype == torch.float32
    assert pixels.tolist() == pytest.approx([0.0, 0.2, 1.0])


def test_train_and_validation_share_the_pool_without_overlap() -> None:
    dataset = split()
    assert sorted(identities(dataset.train) + identities(dataset.validation)) == list(range(60))


def test_all_that_is_not_held_out_is_trained_on_by_default() -> None:
    dataset = split()
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (48, 12, 18)


def test_images_keep_their_labels() -> None:
    dataset = split()
    assert [index // 20 for index in identities(dataset.train)] == dataset.train.labels.tolist()


def test_validation_holds_every_class_in_proportion() -> None:
    assert torch.bincount(split().validation.labels).tolist() == [4, 4, 4]


def test_a_subset_for_training_holds_every_class_in_proportion() -> None:
    assert torch.bincount(split(num_train=9).train.labels).tolist() == [3, 3, 3]


def test_the_validation_images_do_not_depend_on_the_number_of_training_images() -> None:
    assert identities(split(num_train=9).validation) == identities(split().validation)


def test_a_smaller_training_subset_is_part_of_a_larger_one() -> None:
    assert identities(split(num_train=9).train) == identities(split(num_train=30).train)[:9]


def test_a_test_subset_holds_every_class_in_proportion() -> None:
    assert torch.bincount(split(num_test=6).test.labels).tolist() == [2, 2, 2]


def test_the_same_seed_splits_the_same_way() -> None:
    assert identities(split(seed=7).validation) == identities(split(seed=7).validation)


def test_another_seed_splits_another_way() -> None:
    assert identities(split(seed=7).validation) != identities(split(seed=8).validation)


def test_name_classes_and_notices_are_passed_on() -> None:
    dataset = split()
    assert (dataset.name, dataset.class_names) == ("tiny", ("a", "b", "c"))
    assert dataset.notices == ("Something was skipped.",)


@examples(50)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(0, 2**31))
def test_every_prefix_of_the_stratified_order_is_in_proportion(labels: list[int], seed: int) -> None:
    classes = torch.tensor(labels)
    order = stratified_order(classes, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    share = torch.bincount(classes, minlength=4).double() / len(labels)
    for count in range(1, len(labels) + 1):
        found = torch.bincount(classes[order[:count]], minlength=4)
        assert (found - share * count).abs().max() <= 2.0


def test_sizes_that_do_not_fit_are_refused_in_one_sentence_whose_settings_work() -> None:
    with pytest.raises(DataError) as caught:
        split(num_validation=1000, num_train=500, num_test=19)
    sentence = str(caught.value)
    settings = "--set data.num_validation=12 --set data.num_train=48 --set data.num_test=18"
    assert sentence.startswith("num_validation=1000 leaves nothing to train on")
    assert "num_test=19 asks for more than the 18 test images" in sentence
    assert sentence.endswith(f"; take {settings}")
    fitting = split(num_validation=12, num_train=48, num_test=18)
    assert (len(fitting.train), len(fitting.validation), len(fitting.test)) == (48, 12, 18)


@pytest.mark.parametrize(
    ("sizes", "culprit", "remedy"),
    [
        ({"num_validation": 60}, "num_validation=60", "--set data.num_validation=12"),
        ({"num_train": 49}, "num_train=49", "--set data.num_train=48"),
        ({"num_test": 19}, "num_test=19", "--set data.num_test=18"),
    ],
)
def test_asking_for_more_than_there_is_names_the_setting_and_the_limit(
    sizes: dict[str, int], culprit: str, remedy: str
) -> None:
    with pytest.raises(DataError, match=culprit) as caught:
        split(**sizes)
    assert remedy in str(caught.value)


def test_coloured_images_become_the_gray_of_pillow_and_say_so() -> None:
    images = torch.randint(0, 256, (4, 3, 5, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    coloured = Split(images, torch.arange(4))
    found = in_channels(Source("x", ("a",), coloured, coloured), 1)
    expected = [np.array(Image.fromarray(each.permute(1, 2, 0).numpy()).convert("L")) for each in images]
    assert np.array_equal(found.pool.images[:, 0], np.stack(expected))
    assert found.notices == ("The images of x were coloured and are taken as gray.",)


def test_gray_images_get_three_equal_channels_where_the_network_takes_three() -> None:
    gray = Split(torch.arange(24, dtype=torch.uint8).view(2, 1, 3, 4), torch.arange(2))
    found = in_channels(Source("x", ("a",), gray, gray), 3)
    assert torch.equal(found.test.images, gray.images.expand(2, 3, 3, 4))
    assert found.notices == ("The images of x were gray and are taken with three equal channels.",)


@pytest.mark.parametrize("channels", [None, 1])
def test_images_of_the_right_channels_are_left_alone(channels: int | None) -> None:
    gray = Split(torch.zeros(2, 1, 3, 4, dtype=torch.uint8), torch.arange(2))
    whole = Source("x", ("a",), gray, gray)
    assert in_channels(whole, channels) is whole


def test_where_sizes_are_wishes_as_many_images_are_taken_as_there_are_and_that_is_said() -> None:
    config = DataConfig(num_train=100, num_validation=1000, num_test=50, at_most=True)
    found = split_source(source([0] * 20 + [1] * 20 + [2] * 20, [0, 1, 2] * 6), config, CPU)
    assert (len(found.train), len(found.validation), len(found.test)) == (48, 12, 18)
    assert found.notices[-1] == (
        "shapes has 60 training and 18 test images, so that data.num_validation=12 data.num_train=48 data.num_test=18 "
        "were taken."
    )
    measured = split_source(source([], [0, 1, 2] * 6), config, CPU, needs_train=False)
    assert torch.equal(measured.test.images[:], found.test.images[:])
    enough = DataConfig(num_train=10, num_validation=10, num_test=10, at_most=True)
    assert split_source(source([0, 1, 2] * 20, [0, 1, 2] * 6), enough, CPU).notices == ("Something was skipped.",)
