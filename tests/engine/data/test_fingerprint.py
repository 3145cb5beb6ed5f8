from dataclasses import replace

import pytest
import torch

from claf_engine.data import Dataset, Split
from claf_engine.data.fingerprint import Fingerprint, changes_of
from tests.engine.tiny import tiny_data

DATA = tiny_data()


def changes_to(now: Dataset) -> str:
    return str(changes_of(Fingerprint.of(DATA), Fingerprint.of(now)))


def test_equal_images_have_equal_fingerprints() -> None:
    assert not changes_of(Fingerprint.of(DATA), Fingerprint.of(tiny_data()))
    assert DATA.train.images is not tiny_data().train.images


def test_renamed_classes_are_named() -> None:
    names = ("class 0", "class 1", "cat", "class 3")
    assert changes_to(replace(DATA, class_names=names)) == "class 2 was 'class 2', is 'cat'"


def test_many_renamed_classes_are_counted() -> None:
    assert changes_to(replace(DATA, class_names=("a", "b", "c", "d"))).endswith("; 1 more classes changed")


def test_a_class_more_is_named() -> None:
    assert changes_to(replace(DATA, class_names=(*DATA.class_names, "x"))) == "4 classes, now 5"


def test_removed_images_are_counted() -> None:
    fewer = Split(DATA.train.images[:20], DATA.train.labels[:20])
    assert changes_to(replace(DATA, train=fewer)) == "24 training images, now 20"


@pytest.mark.parametrize("part", ["images", "labels"])
def test_one_changed_value_is_seen_in_its_split(part: str) -> None:
    tensors = {"images": DATA.validation.images.clone(), "labels": DATA.validation.labels.clone()}
    tensors[part].view(-1)[5] ^= 1
    assert changes_to(replace(DATA, validation=Split(**tensors))) == "other validation images"


def test_exchanged_images_are_seen() -> None:
    order = torch.tensor([1, 0, *range(2, 24)])
    assert (
        changes_to(replace(DATA, train=Split(DATA.train.images[order], DATA.train.labels))) == "other training images"
    )


def test_only_the_splits_that_matter_are_hashed_and_compared() -> None:
    now = replace(DATA, train=Split(DATA.train.images[:2], DATA.train.labels[:2]))
    assert not changes_of(Fingerprint.of(DATA), Fingerprint.of(now, ("test",)))
    assert "sha256" not in vars(now.train)
    assert changes_of(Fingerprint.of(DATA), Fingerprint.of(now))


def test_a_record_gives_the_fingerprint_back() -> None:
    fingerprint = Fingerprint.of(DATA)
    assert Fingerprint.from_record(fingerprint.to_record()) == fingerprint


@pytest.mark.parametrize(
    "record", [None, 3, [], {}, {"class_names": 3, "splits": []}, {"class_names": [], "splits": 1}]
)
def test_what_is_no_fingerprint_is_none(record: object) -> None:
    assert Fingerprint.from_record(record) is None
